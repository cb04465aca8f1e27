"""The versions that results depend on."""

from importlib.metadata import version
from platform import python_version

from clothseg import __version__


def library_versions() -> dict[str, str]:
    """Versions of Python, of this package and of the libraries that results depend on."""
    names = ("torch", "torchvision", "timm", "lightning-fabric", "hotcoco", "vernier", "numpy")
    return {"python": python_version(), "clothseg": __version__, **{name: version(name) for name in names}}
