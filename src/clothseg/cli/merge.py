"""`clothseg merge`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from clothseg.catalogue import MergedFormat, merge_catalogue
from clothseg.cli.inputs import Overwrite, Quiet
from clothseg.cli.terminal import ERRORS
from clothseg.counting import counted
from clothseg.files import require_outside_inputs


def merge(
    folders: Annotated[
        list[str], typer.Argument(metavar="DIR...", help="Folders or addresses that jobs with --format parquet wrote.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the merged files.")] = Path("merged"),
    form: Annotated[
        MergedFormat,
        typer.Option("--format", help="parquet, jsonl, or coco: predictions.json and images.json."),
    ] = MergedFormat.PARQUET,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Join the shards of a catalogue to one table, after a check that each is there exactly once.

    Missing or doubled shards are refused by name, and nothing is written.

    Example: [b]clothseg merge found/ --out merged[/]

    Example: [b]clothseg merge job1/ job2/ job3/ --format coco --out merged[/]
    """
    require_outside_inputs(out, [folder for folder in folders if "://" not in folder])
    done = merge_catalogue(folders, out, form, overwrite=overwrite)
    if not quiet:
        photos = counted(done.photos, "photo")
        failed = f", {done.failed} of which could not be read" if done.failed else ""
        ERRORS.print(
            f"{counted(done.shards, 'shard')} with {photos}{failed}, and {counted(done.rows, 'row')}; see "
            f"{escape(str(out))}"
        )
