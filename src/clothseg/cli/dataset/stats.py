"""`clothseg dataset stats`: how much there is of each class."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from clothseg.cli.dataset.build import DEFAULT_CLASSES
from clothseg.cli.inputs import folder_called, names_in
from clothseg.cli.terminal import ERRORS
from clothseg.files import atomic_write
from clothseg.openimages import Stats, choose_classes, class_file, count_classes, parse_partitions, read_classes

_SHOWN = 40


def stats(
    source: Annotated[
        Path, typer.Argument(help="Folder with the CSV files (no photos or masks needed); [b]sample[/] comes along.")
    ],
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "train",
    partitions: Annotated[
        str | None, typer.Option(help="Only photos whose id begins with one of these digits: f, e,f or 0-3.")
    ] = None,
    classes: Annotated[
        list[str] | None, typer.Option(help="Classes to mark. Default: Suit,Dress,Jeans.", metavar="NAMES")
    ] = None,
    min_instances: Annotated[int, typer.Option(min=0, help="How many masks a class needs.")] = 200,
    everything: Annotated[bool, typer.Option("--all", help="Show every class, not the first 40.")] = False,
    out: Annotated[Path | None, typer.Option(help="Also draw bars, into this PNG.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all classes as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing.")] = False,
) -> None:
    """Count masks, photos and boxes of each class, from the tables alone.

    Exit code 1 means that rows were broken; they are listed and not counted.

    Example: [b]clothseg dataset stats ~/open-images --split train --partitions f --out masks.png[/]
    """
    folder = folder_called(source)
    chosen = choose_classes(names_in(classes) or DEFAULT_CLASSES, read_classes(class_file(folder)))
    mids = {c.mid for c in chosen}
    counted = count_classes(folder, split, partitions, parse_partitions(partitions))
    if out is not None:
        atomic_write(out, counted.chart(min_instances, mids))
    if as_json:
        print(json.dumps(counted.as_dict(min_instances, mids), ensure_ascii=False, indent=2))
    elif not quiet:
        _show(counted, min_instances, mids, len(counted.classes) if everything else _SHOWN)
    if out is not None and not quiet:
        ERRORS.print(f"wrote {escape(str(out))}")
    if counted.broken:
        for row in counted.broken[:10]:
            ERRORS.print(f"[bold yellow]not counted:[/] {escape(str(row))}")
        ERRORS.print(f"{len(counted.broken)} rows are broken")
        raise typer.Exit(1)


def _show(counted: Stats, min_instances: int, chosen: set[str], most: int) -> None:
    table = Table(title=f"{counted.split}, partitions {counted.partitions or '0-f'}", title_justify="left")
    table.add_column("class", no_wrap=True)
    headings = ("masks", "photos", "boxes", "no mask", "groups", "size %")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=heading.startswith("size"))
    shown = [c for place, c in enumerate(counted.classes) if place < most or c.mid in chosen]
    for c in shown:
        sizes = "" if c.size_50 is None else f"{c.size_10:.0%}-{c.size_50:.0%}-{c.size_90:.0%}".replace("%", "")
        counts = (
            f"{c.masks}{'*' if c.masks >= min_instances else ' '}",
            c.mask_photos,
            c.boxes,
            c.boxes_without_mask,
            c.groups,
            sizes,
        )
        table.add_row(escape(c.name), *map(str, counts), style="bold" if c.mid in chosen else None)
    table.add_section()
    masks, boxes = (sum(getattr(c, key) for c in counted.classes) for key in ("masks", "boxes"))
    table.add_row("all", f"{masks} ", str(counted.mask_photos), str(boxes))
    console = Console()
    console.print(table)
    if len(shown) < len(counted.classes):
        console.print(f"{len(counted.classes) - len(shown)} more classes: --all or --json shows them.")
    passing = sum(c.masks >= min_instances for c in counted.classes)
    console.print("Size: side of the box as a part of the photo's, of which 10, 50 and 90 % of the masks are smaller.")
    console.print(f"* {min_instances} masks or more: {passing} classes.")
