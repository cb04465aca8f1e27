"""`clothseg dataset build`: from Open Images files to a COCO dataset."""

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from clothseg.cli.inputs import (
    IncludeChildren,
    JsonSummary,
    Partitions,
    SourceClasses,
    SplitSeed,
    folder_called,
    names_in,
)
from clothseg.cli.terminal import fail_in_part, progress_bar, walk
from clothseg.cores import usable_cores
from clothseg.openimages import BuildOptions, BuildSummary, build_dataset
from clothseg.openimages.build.options import BoxRule
from clothseg.openimages.build.summary import BOXES_WITHOUT_MASK, REASONS, Dropped

DEFAULT_CLASSES = ["Suit", "Dress", "Jeans"]


def build(
    source: Annotated[
        Path, typer.Argument(help="Folder of Open Images V5 files; [b]sample[/] is the folder that is installed.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the dataset.")],
    classes: SourceClasses = None,
    include_children: IncludeChildren = False,
    partitions: Partitions = None,
    val_fraction: Annotated[
        float | None,
        typer.Option(help="Part of the train photos for validation. Default: the source's own validation."),
    ] = None,
    seed: SplitSeed = 0,
    keep_empty: Annotated[
        bool, typer.Option("--keep-empty", help="Also take photos without any of the classes.")
    ] = False,
    boxes_without_mask: Annotated[
        BoxRule,
        typer.Option(
            help="Boxes without a mask: regions with iscrowd 1; objects that teach class and box (groups stay "
            "regions); left out; or their photo is left out."
        ),
    ] = "crowd",
    max_size: Annotated[
        int | None, typer.Option(min=1, help="Maximum of the longer side of photos and masks, in pixels.")
    ] = None,
    upright: Annotated[
        bool, typer.Option("--upright", help="Turn photos and masks together as the image list's Rotation says.")
    ] = False,
    polygons: Annotated[
        bool, typer.Option("--polygons", help="Polygons instead of RLE. They draw exactly the same masks.")
    ] = False,
    polygon_tolerance: Annotated[
        float,
        typer.Option(min=0, max=100, help="With --polygons: fewer points, moved by at most this number of pixels."),
    ] = 0.0,
    limit: Annotated[int | None, typer.Option(min=1, help="Maximum number of photos in a split.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Number of processes. Default: all cores.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the dataset at --out.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar and no table.")] = False,
    as_json: JsonSummary = False,
) -> None:
    """Convert Open Images masks to a COCO dataset.

    After an interruption, the same command resumes. Exit code 1 means that the dataset is complete, except for masks,
    photos or rows that were missing or broken; they are listed.

    Example: [b]clothseg dataset build ~/open-images --classes Suit,Dress,Jeans --partitions f --out data/clothes[/]
    """
    names = DEFAULT_CLASSES if classes is None else names_in(classes)
    options = BuildOptions(
        include_children=include_children,
        partitions=partitions,
        val_fraction=val_fraction,
        seed=seed,
        keep_empty=keep_empty,
        boxes_without_mask=boxes_without_mask,
        max_size=max_size,
        upright=upright,
        polygons=polygon_tolerance if polygons else None,
        limit=limit,
        workers=workers or usable_cores(),
        overwrite=overwrite,
    )
    with progress_bar(quiet=quiet) as bar:
        summary = build_dataset(
            folder_called(source),
            out,
            names,
            options,
            progress=partial(walk, bar),
        )
    if as_json:
        typer.echo(json.dumps(summary.as_dict(), ensure_ascii=False, indent=2))
    elif not quiet:
        _show(summary)
    fail_in_part([_failed(row) for row in summary.failed], summary.folder / "dataset.yaml")


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
        console.print(
            f"Photos without any of these classes: train {summary.train.negatives}, val {summary.val.negatives}."
        )
    for reason, count in summary.reasons().items():
        console.print(f"Dropped {count}: {REASONS[reason]} ({reason}).")
    for name, kinds in summary.included.items():
        if kinds:
            console.print(f"{escape(name)} includes {len(kinds)} kinds: {escape(', '.join(kinds))}.")
    regions = summary.train.regions + summary.val.regions
    learned = summary.train.boxes + summary.val.boxes
    if summary.boxes_without_mask:
        kept = sum(box.kept for box in summary.boxes_without_mask)
        console.print(
            f"Boxes of these classes without a mask: {len(summary.boxes_without_mask)}, {kept} of them on photos of "
            f"the dataset; {learned} teach class and box; {regions} regions have iscrowd 1. "
            f"{BOXES_WITHOUT_MASK} lists them."
        )
    if summary.unnamed_masks:
        console.print(f"Masks in the zips without a row: {len(summary.unnamed_masks)}. dataset.yaml lists them.")
    if summary.near_duplicates:
        console.print(f"Near-duplicate photos on the same side of the split: {len(summary.near_duplicates)} pairs.")
    for what, count in summary.changed.items():
        console.print(f"Photos {what}: {count}.")
    if summary.polygons:
        p = summary.polygons
        console.print(
            f"Polygons draw {p.masks} masks; IoU with the masks: lowest {p.worst_iou:.4f}, mean {p.mean_iou:.4f}."
        )
    speed = summary.speed
    if speed.masks:
        shares = ", ".join(f"{kind} {share:.0%}" for kind, share in speed.shares().items())
        console.print(
            f"{speed.masks} mask rows in {speed.seconds:.1f} s, processes: {speed.workers}; one core converts "
            f"{speed.masks_per_second_and_core:.0f} masks/s: {shares}."
        )


def _failed(row: Dropped) -> str:
    what = f"{row.class_name} {row.box_id}" if row.box_id else "no mask row"
    return f"{row.split} {row.image_id} {what}: {row.reason}: {row.detail}"
