"""Arguments and options that several commands share, and functions that interpret them."""

import csv
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from clothseg import sample
from clothseg.cli.completion import devices, setting_names
from clothseg.cli.terminal import ERRORS
from clothseg.devices import check_device_name
from clothseg.paths import Wanted, require_path

if TYPE_CHECKING:
    from clothseg.models import Model

Data = Annotated[
    Path,
    typer.Argument(help="A dataset: clothseg's own, an export in COCO's format, or a COCO file beside its photos."),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", help="Show no progress bar, no messages and no result that is in a file; only errors."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SECTION.KEY=VALUE",
        autocompletion=setting_names,
        help="Change a setting, repeatable; list all: clothseg config show demo.",
    ),
]
WeightsSettings = Annotated[
    str | None, typer.Option(help="A YAML file with settings that replace those of the weights.")
]
ClassNames = Annotated[
    str | None, typer.Option(help="Class names of a weights file from another tool, separated by commas.")
]
Gallery = Annotated[
    bool, typer.Option("--gallery/--no-gallery", help="Write index.html, a page with everything that was found.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is at --out.")]
Device = Annotated[
    str,
    typer.Option(
        callback=check_device_name,
        autocompletion=devices,
        metavar="auto|cpu|cuda|cuda:1|mps",
        help="Where the network runs. auto takes the GPU if there is one.",
    ),
]
Compile = Annotated[
    bool, typer.Option("--compile", help="Compile the network: takes a minute or two once, then each photo is faster.")
]
Recursive = Annotated[bool, typer.Option("--recursive", help="Search subfolders too.")]


def folder_called(source: Path) -> Path:
    """The folder of Open Images files: a path, or the word `sample` for the included one.

    Raises:
        DataError: there is something else at the path.
    """
    if str(source) == "sample" and not source.exists():
        return sample.folder()
    require_path(source, Wanted.OPEN_IMAGES)
    return source


def names_in(given: Iterable[str] | None) -> list[str]:
    """The names of an option that may be repeated; each may hold several names, separated by commas."""
    return [name for text in given or () for name in text.split(",") if name.strip()]


def split_names(text: str) -> list[str]:
    """Names separated by commas; a name that contains a comma is in quotes: `Suit,"shirt, blouse"`."""
    return [name.strip() for name in next(csv.reader([text], skipinitialspace=True), [])]


def known_names_in(given: Iterable[str] | None, known: Collection[str]) -> list[str]:
    """The names of an option that may be repeated and may have commas, also where a known name contains commas.

    `shirt, blouse,Suit` gives `shirt, blouse` and `Suit` if both are known. Names that are not known stay as they are.
    """
    names = []
    for text in given or ():
        parts = [text] if text in known else text.split(",")
        while parts:
            joined = (",".join(parts[:count]).strip() for count in range(len(parts), 0, -1))
            name = next((name for name in joined if name in known), parts[0].strip())
            names.append(name)
            parts = parts[name.count(",") + 1 :]
    return [name for name in names if name]


def compile_network(model: "Model", *, compiled: bool, quiet: bool) -> None:
    """Compiles the network if the option or the settings say so, and prints what to expect."""
    from clothseg.prediction import compile_for_inference  # noqa: PLC0415 - PyTorch

    message = compile_for_inference(model, requested=compiled)
    if message and not quiet:
        ERRORS.print(escape(message))
