"""Photos, tables and masks of the demo: a small folder of Open Images files. Data only; README.md has the licence."""

from importlib.resources import files
from pathlib import Path


def folder() -> Path:
    """Where the files lie. The package is always installed unpacked, so this is a folder on disk."""
    return Path(str(files(__name__)))
