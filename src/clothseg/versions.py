"""The versions that results depend on."""

from importlib.metadata import PackageNotFoundError, version
from platform import python_version

from clothseg import __version__


def library_versions() -> dict[str, str]:
    """Versions of Python, of this package and of the libraries that results depend on; `not installed` for some."""
    names = ("torch", "torchvision", "timm", "lightning-fabric", "hotcoco", "vernier", "numpy")
    return {"python": python_version(), "clothseg": __version__, **{name: _version(name) for name in names}}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # exported networks run without PyTorch
        return "not installed"
