"""What results depend on besides this package."""

from importlib.metadata import version
from platform import python_version


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that results depend on."""
    names = ("clothseg", "torch", "torchvision", "timm", "lightning-fabric", "hotcoco", "vernier", "numpy")
    return {"python": python_version(), **{name: version(name) for name in names}}
