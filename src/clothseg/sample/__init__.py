"""The sample: photos, tables and masks for the demo, as a folder of Open Images files. README.md has the licence."""

from importlib.resources import files
from pathlib import Path


def folder() -> Path:
    """The folder of the sample. The package is always installed unpacked, so it is a folder on disk."""
    return Path(str(files(__name__)))
