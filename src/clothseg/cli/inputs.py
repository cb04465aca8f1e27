"""What people type for an input, and what it stands for."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from clothseg import sample

Data = Annotated[Path, typer.Argument(help="A data set's folder, as `clothseg dataset build` makes it.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bar, no messages.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="section.key=value, repeated.")]
Recursive = Annotated[bool, typer.Option("--recursive", help="Look into the folders within a folder too.")]


def folder_called(source: Path) -> Path:
    """The folder of Open Images files: a path, or the word `sample` for the one that comes along."""
    return sample.folder() if str(source) == "sample" and not source.exists() else source


def names_in(given: Iterable[str] | None) -> list[str]:
    """Names from an option that may be repeated, and may hold several with commas."""
    return [name for text in given or () for name in text.split(",") if name.strip()]
