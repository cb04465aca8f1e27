"""What people type for an input, turned into what it stands for."""

from pathlib import Path

from clothseg import sample


def folder_called(source: Path) -> Path:
    """The folder of Open Images files: a path, or the word `sample` for the one that comes along."""
    return sample.folder() if str(source) == "sample" and not source.exists() else source
