"""`clothseg dataset build`: from Open Images files to a COCO data set."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from clothseg.cli.inputs import folder_called
from clothseg.cli.terminal import progress_bar
from clothseg.openimages import BuildSummary, build_dataset
from clothseg.openimages.summary import REASONS

DEFAULT_CLASSES = ["Suit", "Dress", "Jeans"]
_SHOWN = 10


def build(
    source: Annotated[
        Path, typer.Argument(help="Folder of Open Images V5 files; the word [b]sample[/] is the one that comes along.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the data set.")],
    classes: Annotated[
        list[str] | None,
        typer.Option(help="Class names or ids, repeated or with commas. Default: Suit,Dress,Jeans.", metavar="NAMES"),
    ] = None,
    partitions: Annotated[
        str | None, typer.Option(help="Only photos whose id begins with one of these digits: f, e,f or 0-3.")
    ] = None,
    val_fraction: Annotated[
        float | None, typer.Option(help="Take this part of the train photos for validation, not the source's own.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the split by fraction.")] = 0,
    keep_empty: Annotated[
        bool, typer.Option("--keep-empty", help="Also take photos that show none of the classes.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many photos a split.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the data set at --out.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar and no table.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Convert Open Images masks to a COCO data set.

    Exit code 1 means that the data set is there, but masks or photos were missing or broken; they are listed.

    Example: [b]clothseg dataset build ~/open-images --classes Suit,Dress,Jeans --partitions f --out data/clothes[/]
    """
    names = DEFAULT_CLASSES if classes is None else [n for given in classes for n in given.split(",") if n.strip()]
    with progress_bar(quiet=quiet) as bar:

        def progress(photos: Iterable[Any], text: str, count: int) -> Iterator[Any]:
            yield from bar.track(photos, description=text, total=count)

        summary = build_dataset(
            folder_called(source),
            out,
            names,
            partitions=partitions,
            val_fraction=val_fraction,
            seed=seed,
            keep_empty=keep_empty,
            limit=limit,
            overwrite=overwrite,
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(summary.as_dict(), ensure_ascii=False, indent=2))
    elif not quiet:
        _show(summary)
    if summary.failed:
        _show_failed(summary)
        raise typer.Exit(1)


def _show(summary: BuildSummary) -> None:
    console = Console()
    table = Table(title=escape(str(summary.folder)), title_justify="left")
    table.add_column("class", no_wrap=True)
    for heading in ("train photos", "train masks", "val photos", "val masks", "dropped", "boxes without mask"):
        table.add_column(heading, justify="right")
    *of_classes, of_all = summary.rows()
    for row in of_classes:
        table.add_row(*(escape(str(cell)) for cell in row))
    table.add_section()
    table.add_row(*(str(cell) for cell in of_all))
    console.print(table)
    if summary.train.negatives or summary.val.negatives:
        console.print(f"Photos without a garment: train {summary.train.negatives}, val {summary.val.negatives}.")
    for reason, count in summary.reasons().items():
        console.print(f"Dropped {count}: {REASONS[reason]} ({reason}).")
    if summary.unmasked:
        kept = sum(box.kept for box in summary.unmasked)
        console.print(
            f"Boxes of these classes without a mask, left out: {len(summary.unmasked)}, of which {kept} on photos of "
            "the data set. dataset.yaml lists them."
        )


def _show_failed(summary: BuildSummary) -> None:
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(f"[bold yellow]done in part:[/] {len(summary.failed)} rows were lost")
    for lost in summary.failed[:_SHOWN]:
        what = f"{lost.class_name} {lost.box_id}" if lost.box_id else "no mask row"
        console.print(escape(f"  {lost.split} {lost.image_id} {what}: {lost.reason}: {lost.detail}"))
    if len(summary.failed) > _SHOWN:
        console.print(f"  and {len(summary.failed) - _SHOWN} more", end="; ")
    console.print(f"  the whole list: {escape(str(summary.folder / 'dataset.yaml'))}, under dropped")
