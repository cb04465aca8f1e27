"""`clothseg curves`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from clothseg.cli.inputs import Quiet
from clothseg.cli.terminal import ERRORS
from clothseg.errors import RunError
from clothseg.files import atomic_write, require_absent
from clothseg.pictures import compare_curves
from clothseg.runs import RunFolder
from clothseg.training import read_history


def curves(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs.")],
    out: Annotated[Path, typer.Option(help="The picture: .png or .svg.")] = Path("curves.png"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the picture.")] = False,
    quiet: Quiet = False,
) -> None:
    """Draw the losses of several runs, train and validation, into one picture.

    A run without a finished epoch is named and left out; the exit code is 1 then.

    Example: [b]clothseg curves runs/first runs/second --out curves.png[/]
    """
    paths = {str(run): RunFolder(run).history for run in runs}
    histories = {run: read_history(path) for run, path in paths.items() if path.is_file()}
    lost = [
        f"{run}: no {path.name} in it; a run gets one at the end of its first epoch"
        for run, path in paths.items()
        if run not in histories
    ]
    if not histories:
        raise RunError("\n".join(lost))
    if out.suffix not in {".png", ".svg"}:
        raise RunError(f"{out}: the picture ends in .png or .svg")
    require_absent(out, overwrite=overwrite)
    atomic_write(out, compare_curves(histories, form="svg" if out.suffix == ".svg" else "png"))
    if not quiet:
        ERRORS.print(f"wrote {escape(str(out))}")
    for message in lost:
        ERRORS.print(f"[bold red]not drawn:[/] {escape(message)}")
    if lost:
        raise typer.Exit(1)
