"""`clothseg dataset export`: a dataset to files for other tools."""

import json
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from clothseg.cli.terminal import ERRORS, progress_bar
from clothseg.counting import counted
from clothseg.dataset.exporting import LOSSES, ExportOptions, export_dataset

_SHOWN = 10


class ExportFormat(StrEnum):
    """The formats."""

    COCO = "coco"
    YOLO = "yolo"
    LABEL_MAPS = "label-maps"


def export(
    data: Annotated[Path, typer.Argument(help="The folder of a dataset.")],
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    form: Annotated[
        ExportFormat,
        typer.Option("--format", help="COCO; YOLO segmentation with data.yaml; or label maps in Pascal VOC's folders."),
    ],
    rle: Annotated[bool, typer.Option("--rle", help="COCO with RLE instead of polygons.")] = False,
    tolerance: Annotated[
        float, typer.Option(min=0, max=100, help="Polygons with fewer points, moved by at most this many pixels.")
    ] = 0.0,
    hard_links: Annotated[
        bool, typer.Option("--hard-links", help="Link photos instead of copying them; saves disk.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the folder at --out.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar and no summary.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Write a dataset as COCO, YOLO segmentation or label maps, for other tools.

    What the format cannot hold (overlaps, crowds, holes, parts) is counted. Exit code 1: photos or masks are missing or
    broken; they are listed.

    Example: [b]clothseg dataset export data/clothes --format yolo --out yolo[/]
    """
    options = ExportOptions(format=form.value, rle=rle, tolerance=tolerance, hard_links=hard_links, overwrite=overwrite)
    with progress_bar(quiet=quiet) as bar:

        def progress(photos: Iterable[Any], text: str, count: int) -> Iterator[Any]:
            yield from bar.track(photos, description=text, total=count)

        summary = export_dataset(data, out, options, progress=progress)
    if as_json:
        typer.echo(json.dumps(summary.as_dict(), ensure_ascii=False, indent=2))
    elif not quiet:
        for split, count in summary.photos.items():
            typer.echo(f"{split}: {counted(count, 'photo')}, {counted(summary.objects[split], 'object')}")
        for loss, count in summary.losses.items():
            typer.echo(f"{LOSSES[loss]} ({loss}): {count}")
        ERRORS.print(f"wrote {escape(str(summary.folder))}")
    if summary.failed:
        ERRORS.print(f"[bold yellow]done in part:[/] {counted(len(summary.failed), 'thing')} missing or broken")
        for line in summary.failed[:_SHOWN]:
            ERRORS.print(escape(f"  {line}"))
        raise typer.Exit(1)
