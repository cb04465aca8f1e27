"""`clothseg curves`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from clothseg.cli.completion import runs
from clothseg.cli.inputs import Overwrite, Quiet
from clothseg.cli.terminal import ERRORS
from clothseg.errors import RunError
from clothseg.files import atomic_write, require_absent
from clothseg.paths import Wanted, explain_wrong_path
from clothseg.runs import RunFolder
from clothseg.training import read_history


def curves(
    runs: Annotated[list[Path], typer.Argument(autocompletion=runs, help="Folders of runs.")],
    out: Annotated[Path, typer.Option(help="The picture to write: .png or .svg.")] = Path("curves.png"),
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Draw the training and validation losses of several runs into one picture.

    Runs without a finished epoch are listed and left out; the exit code is then 1.

    Example: [b]clothseg curves runs/first runs/second --out curves.png[/]
    """
    paths = {str(run): RunFolder(run).history for run in runs}
    histories = {run: read_history(path) for run, path in paths.items() if path.is_file()}
    lost = [
        explain_wrong_path(run, Wanted.TRAINED)
        or f"{run}: no {path.name}; a run writes it at the end of its first epoch"
        for run, path in paths.items()
        if run not in histories
    ]
    if not histories:
        raise RunError("\n".join(lost))
    if out.suffix not in {".png", ".svg"}:
        raise RunError(f"{out}: the name of the picture must end in .png or .svg")
    require_absent(out, overwrite=overwrite)
    from clothseg.pictures import compare_curves  # noqa: PLC0415 - matplotlib; wrong input is refused without it

    atomic_write(out, compare_curves(histories, form="svg" if out.suffix == ".svg" else "png"))
    if not quiet:
        ERRORS.print(f"wrote {escape(str(out))}")
    for message in lost:
        ERRORS.print(f"[bold red]not drawn:[/] {escape(message)}")
    if lost:
        raise typer.Exit(1)
