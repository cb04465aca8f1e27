"""The `clothseg` command: its groups in order, and how errors are shown."""

import sys

import typer
from rich.console import Console

from clothseg.cli import dataset
from clothseg.errors import ClothsegError

app = typer.Typer(
    name="clothseg",
    help="Garments cut out of photos pixel by pixel: data sets, fine-tuning, honest evaluation, prediction.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(dataset.app, name="dataset")


def main() -> None:
    """Run the command line. Exit code 0: done; 1: done in part; 2: wrong input, nothing written."""
    try:
        app()
    except ClothsegError as error:
        Console(stderr=True).print(f"[bold red]error:[/] {error}", highlight=False, markup=True)
        sys.exit(2)
