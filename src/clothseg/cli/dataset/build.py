"""`clothseg dataset build`: from Open Images files to a COCO dataset."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from clothseg.cli.failures import who_stopped
from clothseg.cli.inputs import (
    IncludeChildren,
    JsonSummary,
    Partitions,
    SourceClasses,
    SplitSeed,
    default_out,
    folder_called,
    names_in,
)
from clothseg.cli.terminal import ERRORS, fail_in_part, print_table, progress_bar, walk
from clothseg.cores import usable_cores
from clothseg.counting import counted
from clothseg.errors import InterruptedRun, shell_command
from clothseg.openimages.build.options import BoxRule, BuildOptions
from clothseg.openimages.layout import has_split

if TYPE_CHECKING:
    from clothseg.openimages import BuildSummary, Dropped

DEFAULT_CLASSES = ["Suit", "Dress", "Jeans"]


def build(
    source: Annotated[
        Path, typer.Argument(help="Folder of Open Images V5 files; [b]sample[/] is the folder that is installed.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the dataset. Default: data/ and the name of the source.")
    ] = None,
    classes: SourceClasses = None,
    include_children: IncludeChildren = False,
    partitions: Partitions = None,
    val_fraction: Annotated[
        float | None,
        typer.Option(help="Part of the train photos for validation. Default: the source's own validation."),
    ] = None,
    include_test: Annotated[
        bool, typer.Option("--include-test", help="Also convert the source's test split, which fit never uses.")
    ] = False,
    seed: SplitSeed = 0,
    keep_empty: Annotated[
        bool,
        typer.Option(
            "--keep-empty", help="Also take photos without any of the classes, at most as many as have masks."
        ),
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
        include_test=include_test,
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
    out = out or default_out("data", source)
    from clothseg.openimages import build_dataset  # noqa: PLC0415 - Polars, which --help does not need

    with progress_bar(quiet=quiet) as bar:
        try:
            summary = build_dataset(folder_called(source), out, names, options, progress=partial(walk, bar))
        except KeyboardInterrupt as error:
            raise InterruptedRun(f"{who_stopped(error)}; the same command resumes the build") from error
    if as_json:
        typer.echo(json.dumps(summary.as_dict(), ensure_ascii=False, indent=2))
    elif not quiet:
        _show(summary)
        ERRORS.print(escape(f"next: {shell_command(['clothseg', 'dataset', 'check', out])}"))
        if not include_test and has_split(folder_called(source), "test"):
            print("The source has a test split too; --include-test adds it.")
    fail_in_part([_failed(row) for row in summary.failed], summary.folder / "dataset.yaml")


def _show(summary: "BuildSummary") -> None:
    console = Console(highlight=False)
    table = Table(title=escape(str(summary.folder)), title_justify="left")
    table.add_column("class", no_wrap=True)
    *of_classes, of_all = summary.rows()
    of_split = [f"{split}\n{what}" for split in summary.splits for what in ("photos", "masks")]
    headings = ["class", *of_split, "dropped", "boxes\nwithout\nmask"]
    # 80 columns are enough for three splits if the last columns are there only where they say something.
    shown = [i for i in range(len(headings)) if i <= len(of_split) or of_all[i]]
    for i in shown[1:]:
        table.add_column(headings[i], justify="right", overflow="fold")
    for row in of_classes:
        table.add_row(*(escape(str(row[i])) for i in shown))
    table.add_section()
    table.add_row(*(str(of_all[i]) for i in shown))
    print_table(table)
    for line in _notes(summary):
        console.print(escape(line))


def _notes(summary: "BuildSummary") -> Iterator[str]:
    """What the table does not show."""
    from clothseg.openimages.build.summary import BOXES_WITHOUT_MASK, REASONS  # noqa: PLC0415 - Polars

    splits = summary.splits
    if any(of.negatives for of in splits.values()):
        negatives = ", ".join(f"{split} {of.negatives}" for split, of in splits.items())
        yield f"Photos without any of these classes: {negatives}."
    for reason, count in summary.reasons().items():
        yield f"Dropped {count}: {REASONS[reason]} ({reason})."
    for name, kinds in summary.included.items():
        if kinds:
            yield f"{name} includes {counted(len(kinds), 'kind')}: {', '.join(kinds)}."
    if boxes := summary.boxes_without_mask:
        kept = sum(box.kept for box in boxes)
        regions, learned = (sum(getattr(of, what) for of in splits.values()) for what in ("regions", "boxes"))
        became = [f"{regions} became regions with iscrowd 1"] * (regions > 0)
        became += [f"{learned} became objects that teach class and box"] * (learned > 0)
        fate = ", ".join(became) or "none of them is in the dataset"
        yield (
            f"{counted(len(boxes), 'box', 'boxes')} without a mask ({kept} on photos of the dataset): {fate}. "
            f"{BOXES_WITHOUT_MASK} lists them."
        )
    if summary.unnamed_masks:
        yield f"Masks in the zips without a row: {len(summary.unnamed_masks)}. dataset.yaml lists them."
    if summary.near_duplicates:
        yield f"Near-duplicate photos on the same side of the split: {counted(len(summary.near_duplicates), 'pair')}."
    for what, count in summary.changed.items():
        yield f"Photos {what}: {count}."
    if p := summary.polygons:
        yield f"Polygons draw {p.masks} masks; IoU with the masks: lowest {p.worst_iou:.4f}, mean {p.mean_iou:.4f}."
    if summary.speed.masks:
        yield f"{summary.speed.masks} mask rows in {summary.speed.seconds:.1f} s."


def _failed(row: "Dropped") -> str:
    what = f"{row.class_name} {row.box_id}" if row.box_id else "no mask row"
    return f"{row.split} {row.image_id} {what}: {row.reason}: {row.detail}"
