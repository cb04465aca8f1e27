"""The photos, tables and masks of the demo, in the formats of Open Images. Data only."""

from importlib.resources import files
from pathlib import Path


def folder() -> Path:
    """The sample's folder, as Open Images would lay it out."""
    return Path(str(files("clothseg.sample")))
