"""`clothseg dataset stats`: counts of masks, photos and boxes by class."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from clothseg.cli.completion import classes_of_source
from clothseg.cli.dataset.build import DEFAULT_CLASSES
from clothseg.cli.inputs import Partitions, folder_called, names_in
from clothseg.cli.terminal import ERRORS, print_table
from clothseg.counting import counted
from clothseg.files import atomic_write
from clothseg.openimages.classes import choose_classes, read_classes
from clothseg.openimages.layout import class_file

if TYPE_CHECKING:
    from clothseg.openimages import Stats

_SHOWN = 40


def stats(
    source: Annotated[
        Path, typer.Argument(help="Folder with the CSV files, without photos or masks; [b]sample[/] is installed.")
    ],
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "train",
    partitions: Partitions = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(
            autocompletion=classes_of_source, help="Classes to mark. Default: Suit,Dress,Jeans.", metavar="NAMES"
        ),
    ] = None,
    min_instances: Annotated[int, typer.Option(min=0, help="Number of masks that a class needs.")] = 200,
    everything: Annotated[bool, typer.Option("--all", help="Show all classes, not only the first 40.")] = False,
    out: Annotated[Path | None, typer.Option(help="Also draw a bar chart to this PNG.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all classes as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing.")] = False,
) -> None:
    """Count masks, photos and boxes of each class, from the tables alone.

    Exit code 1 means that rows were broken; they are listed and not counts.

    Example: [b]clothseg dataset stats ~/open-images --split train --partitions f --out masks.png[/]
    """
    from clothseg.openimages import count_classes  # noqa: PLC0415 - Polars, which --help does not need

    folder = folder_called(source)
    marked = choose_classes(names_in(classes) or DEFAULT_CLASSES, read_classes(class_file(folder)))
    mids = {c.mid for c in marked}
    counts = count_classes(folder, split, partitions)
    if out is not None:
        atomic_write(out, counts.chart(min_instances, mids))
    if as_json:
        print(json.dumps(counts.as_dict(min_instances, mids), ensure_ascii=False, indent=2))
    elif not quiet:
        _show(counts, min_instances, mids, len(counts.classes) if everything else _SHOWN)
    if out is not None and not quiet:
        ERRORS.print(f"wrote {escape(str(out))}")
    if counts.broken:
        for row in counts.broken[:10]:
            ERRORS.print(f"[bold yellow]not counted:[/] {escape(str(row))}")
        ERRORS.print(f"{counted(len(counts.broken), 'broken row')}")
        raise typer.Exit(1)


def _show(counts: "Stats", min_instances: int, marked: set[str], max_classes: int) -> None:
    table = Table(title=f"{counts.split}, partitions {counts.partitions or '0-f'}", title_justify="left")
    table.add_column("class", no_wrap=True)
    headings = ("masks", "photos", "boxes", "no mask", "groups", "size %")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=heading.startswith("size"))
    shown = [c for place, c in enumerate(counts.classes) if place < max_classes or c.mid in marked]
    for c in shown:
        sizes = "" if c.size_50 is None else f"{c.size_10:.0%}-{c.size_50:.0%}-{c.size_90:.0%}".replace("%", "")
        cells = (
            f"{c.masks}{'*' if c.masks >= min_instances else ' '}",
            c.mask_photos,
            c.boxes,
            c.boxes_without_mask,
            c.groups,
            sizes,
        )
        table.add_row(escape(c.name), *map(str, cells), style="bold" if c.mid in marked else None)
    table.add_section()
    masks, boxes = (sum(getattr(c, key) for c in counts.classes) for key in ("masks", "boxes"))
    table.add_row("all", f"{masks} ", str(counts.mask_photos), str(boxes))
    console = Console()
    print_table(table)
    if len(shown) < len(counts.classes):
        left = counted(len(counts.classes) - len(shown), "more class", "more classes")
        console.print(f"{left}: --all or --json shows all.")
    passing = sum(c.masks >= min_instances for c in counts.classes)
    console.print("Size: side of the box in % of the photo; 10, 50 and 90 % of the masks are smaller.")
    console.print(f"* {counted(min_instances, 'mask')} or more: {counted(passing, 'class', 'classes')}.")
