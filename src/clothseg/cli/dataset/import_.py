"""`clothseg dataset import`: labels of another tool to a COCO dataset."""

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from clothseg.cli.inputs import HardLinks, JsonSummary, SplitSeed, default_out, names_in
from clothseg.cli.terminal import ERRORS, fail_in_part, print_table, progress_bar, walk
from clothseg.counting import counted
from clothseg.dataset.importing import (
    REASONS,
    ImportOptions,
    ImportSummary,
    SourceFormat,
    import_dataset,
    parse_classes,
)
from clothseg.errors import shell_command


def import_(
    source: Annotated[Path, typer.Argument(help="The folder of the labelling tool's export, or its label file.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the dataset. Default: data/ and the name of the source.")
    ] = None,
    form: Annotated[
        SourceFormat, typer.Option("--format", help="The format of the labels. auto recognizes it.")
    ] = "auto",
    classes: Annotated[
        list[str] | None,
        typer.Option(
            help="Only these classes, in this order, repeatable or with commas; dress=Dress also renames.",
            metavar="NAMES",
        ),
    ] = None,
    val_fraction: Annotated[
        float | None,
        typer.Option(help="Part of the photos for validation. Default: the source's own split, or else 0.2."),
    ] = None,
    seed: SplitSeed = 0,
    boxes_as_masks: Annotated[
        bool,
        typer.Option("--boxes-as-masks", help="Fill boxes that have no outline. Else they teach class and box only."),
    ] = False,
    keep_unlabelled: Annotated[
        bool,
        typer.Option("--keep-unlabelled", help="Take photos without labels too: somebody has looked, and found none."),
    ] = False,
    hard_links: HardLinks = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the dataset at --out.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar and no table.")] = False,
    as_json: JsonSummary = False,
) -> None:
    """Convert labels of YOLO, labelme, Pascal VOC, mask files, Supervisely or CVAT to a dataset.

    Photos are copied, never changed. COCO files need no import. Exit code 1 means that the dataset is complete, except
    for photos, label files or shapes that are missing or broken; they are listed.

    Example: [b]clothseg dataset import ~/labels --out data/clothes --classes dress=Dress,jeans=Jeans[/]
    """
    out = out or default_out("data", source)
    options = ImportOptions(
        format=form,
        classes=parse_classes(names_in(classes)),
        val_fraction=val_fraction,
        seed=seed,
        boxes_as_masks=boxes_as_masks,
        keep_unlabelled=keep_unlabelled,
        hard_links=hard_links,
        overwrite=overwrite,
    )
    with progress_bar(quiet=quiet) as bar:
        summary = import_dataset(source, out, options, progress=partial(walk, bar))
    if as_json:
        typer.echo(json.dumps(summary.as_dict(), ensure_ascii=False, indent=2))
    elif not quiet:
        _show(summary)
        ERRORS.print(escape(f"next: {shell_command(['clothseg', 'dataset', 'check', out])}"))
    fail_in_part([row.text() for row in summary.failed], summary.folder / "dataset.yaml")


def _show(summary: ImportSummary) -> None:
    console = Console(highlight=False)
    console.print(escape(f"{summary.seen}."))
    table = Table(title=escape(str(summary.folder)), title_justify="left")
    table.add_column("class", no_wrap=True)
    for split in summary.splits:
        for heading in ("photos", "objects"):
            table.add_column(f"{split} {heading}", justify="right")
    *of_classes, of_all = summary.rows()
    for row in of_classes:
        table.add_row(*map(escape, row))
    table.add_section()
    table.add_row(*of_all)
    print_table(table)
    if boxes := sum(counts.boxes for counts in summary.splits.values()):
        console.print(
            f"Boxes without an outline: {boxes}. They teach class and box, not the mask; --boxes-as-masks fills them."
        )
    negatives = sum(counts.negatives for counts in summary.splits.values())
    if negatives or "not_labelled" in summary.reasons():
        console.print(escape(f"Photos without objects: {negatives} taken; {summary.unlabelled_rule}."))
    for reason, count in summary.reasons().items():
        console.print(escape(f"Left out {count}: {REASONS[reason]} ({reason})."))
    if summary.near_duplicates:
        console.print(
            f"Near-duplicate photos on the same side of the split: {counted(len(summary.near_duplicates), 'pair')}."
        )
    if summary.turned:
        console.print(f"Photos whose masks were turned by the EXIF orientation: {summary.turned}.")
