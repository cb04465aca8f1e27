"""The `clothseg` command: its groups in order, and how errors are shown."""

import sys
from typing import Annotated

import typer
from rich.markup import escape

from clothseg import __version__
from clothseg.cli.lazy import lazy_group
from clothseg.cli.renamed import refuse_renamed_options
from clothseg.cli.terminal import ERRORS
from clothseg.errors import ClothsegError, InterruptedRun
from clothseg.versions import library_versions

ORDER = (
    "dataset",
    "fit",
    "evaluate",
    "figures",
    "predict",
    "cutout",
    "compose",
    "compare",
    "curves",
    "weights",
    "config",
    "demo",
)


app = typer.Typer(
    name="clothseg",
    cls=lazy_group("clothseg.cli", ORDER),
    help="Garments cut out of photos pixel by pixel: data sets, fine-tuning, honest evaluation, prediction.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

_debug = {"on": False}


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and those of the libraries.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    _debug["on"] = debug
    if version:
        print(f"clothseg {__version__}")
        for name, number in library_versions().items():
            print(f"{name} {number}")
        raise typer.Exit


def main() -> None:
    """Run the command line. Exit code 0: done; 1: done in part; 2: wrong input, nothing written."""
    try:
        refuse_renamed_options(sys.argv[1:])
        app()
    except ClothsegError as error:
        if _debug["on"]:
            raise
        stopped = isinstance(error, InterruptedRun)
        word = "stopped:" if stopped else "error:"
        ERRORS.print(f"[bold red]{word}[/] {escape(str(error))}")
        sys.exit(1 if stopped else 2)
    except OSError as error:  # a folder that may not be written, a disk that is full
        if _debug["on"]:
            raise
        ERRORS.print(f"[bold red]error:[/] {escape(str(error))}")
        sys.exit(2)
