"""`clothseg dataset export`: a dataset to files for other tools."""

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from clothseg.cli.inputs import HardLinks, JsonSummary, default_out
from clothseg.cli.terminal import ERRORS, fail_in_part, progress_bar, walk
from clothseg.counting import counted
from clothseg.dataset.exporting import LOSSES, ExportFormat, ExportOptions, export_dataset


def export(
    data: Annotated[Path, typer.Argument(help="The folder of a dataset.")],
    form: Annotated[
        ExportFormat,
        typer.Option("--format", help="COCO; YOLO segmentation with data.yaml; or label maps in Pascal VOC's folders."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the files. Default: exports/ and NAME-FORMAT for a dataset NAME."),
    ] = None,
    rle: Annotated[bool, typer.Option("--rle", help="COCO with RLE instead of polygons.")] = False,
    tolerance: Annotated[
        float, typer.Option(min=0, max=100, help="Polygons with fewer points, moved by at most this many pixels.")
    ] = 0.0,
    hard_links: HardLinks = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the folder at --out.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar and no summary.")] = False,
    as_json: JsonSummary = False,
) -> None:
    """Write a dataset as COCO, YOLO segmentation or label maps, for other tools.

    What the format cannot hold (overlaps, crowds, holes, parts) is counted. Exit code 1: photos or masks are missing or
    broken; they are listed.

    Example: [b]clothseg dataset export data/clothes --format yolo --out yolo[/]
    """
    out = out or default_out("exports", data, f"-{form}")
    options = ExportOptions(format=form, rle=rle, tolerance=tolerance, hard_links=hard_links, overwrite=overwrite)
    with progress_bar(quiet=quiet) as bar:
        summary = export_dataset(data, out, options, progress=partial(walk, bar))
    if as_json:
        typer.echo(json.dumps(summary.as_dict(), ensure_ascii=False, indent=2))
    elif not quiet:
        for split, count in summary.photos.items():
            typer.echo(f"{split}: {counted(count, 'photo')}, {counted(summary.objects[split], 'object')}")
        for loss, count in summary.losses.items():
            typer.echo(f"{LOSSES[loss]} ({loss}): {count}")
        ERRORS.print(f"wrote {escape(str(summary.folder))}")
    fail_in_part(summary.failed)
