"""What people type for an input, turned into what it stands for."""

from collections.abc import Iterable
from pathlib import Path

from clothseg import sample


def folder_called(source: Path) -> Path:
    """The folder of Open Images files: a path, or the word `sample` for the one that comes along."""
    return sample.folder() if str(source) == "sample" and not source.exists() else source


def names_in(given: Iterable[str] | None) -> list[str]:
    """Names from an option that may be repeated, and may hold several with commas."""
    return [name for text in given or () for name in text.split(",") if name.strip()]
