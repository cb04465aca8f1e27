"""The `clothseg` command: its commands in order, and how errors are shown."""

import sys
from typing import Annotated

import typer
from rich.markup import escape

from clothseg import __version__
from clothseg.cli.lazy import lazy_group
from clothseg.cli.renamed import refuse_renamed_options
from clothseg.cli.terminal import ERRORS, accept_any_text
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
    help="Find garments on photos and cut them out: build datasets, fine-tune, evaluate, predict.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the versions of clothseg and its libraries.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,  # see `main`
) -> None:
    if version:
        print(f"clothseg {__version__}")
        for name, number in library_versions().items():
            if name != "clothseg":
                print(f"{name} {number}")
        raise typer.Exit


def main() -> None:
    """Runs the command line. Exit code 0: done; 1: partly done; 2: wrong input, nothing written."""
    accept_any_text()
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    try:
        refuse_renamed_options(arguments)
        app()
    except ClothsegError as error:
        if debug:
            raise
        stopped = isinstance(error, InterruptedRun)
        word = "stopped:" if stopped else "error:"
        ERRORS.print(f"[bold red]{word}[/] {escape(str(error))}")
        sys.exit(1 if stopped else 2)
    except OSError as error:  # for example a read-only folder, or a full disk
        if debug:
            raise
        ERRORS.print(f"[bold red]error:[/] {escape(str(error))}")
        sys.exit(2)
