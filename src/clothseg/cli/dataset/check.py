"""`clothseg dataset check`: finds faults in a COCO dataset."""

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from clothseg.cli.terminal import ERRORS, progress_bar, walk
from clothseg.counting import counted
from clothseg.dataset.doctor import KINDS, MIN_INSTANCES, Cleaned, Diagnosis, Severity, examine, write_cleaned
from clothseg.files import require_absent

PAGE = "check.html"
_COLOURS = {Severity.ERROR: "bold red", Severity.WARNING: "yellow"}


def check(
    data: Annotated[
        list[Path],
        typer.Argument(
            help="A dataset, an export in COCO's format, or COCO JSON files, one for each split.", show_default=False
        ),
    ],
    images: Annotated[
        list[Path] | None,
        typer.Option("--images", help="Folder with photos, repeatable. Default: the usual folders near each file."),
    ] = None,
    split: Annotated[str | None, typer.Option("--split", help="Only this split. Default: all.")] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help=f"Write a page with all findings: NAME.html, or a folder for {PAGE}."),
    ] = None,
    write_clean: Annotated[
        Path | None,
        typer.Option("--write-clean", help="Folder for a cleaned copy, with a list of all changes."),
    ] = None,
    min_instances: Annotated[
        int, typer.Option(min=0, help="Warn about classes with fewer instances in all files together.")
    ] = MIN_INSTANCES,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the folder of --write-clean.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar and no table.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all findings as JSON.")] = False,
) -> None:
    """Finds faults in any COCO dataset.

    Exit code 0: no errors (warnings are possible). 1: errors were found. 2: the input is not a dataset.

    Example: [b]clothseg dataset check data/clothes --out check.html --write-clean data/clean[/]
    """
    if write_clean is not None:
        require_absent(write_clean, overwrite=overwrite)
    with progress_bar(quiet=quiet) as bar:
        diagnosis = examine(data, images or [], split=split, min_instances=min_instances, progress=partial(walk, bar))
    page = None if out is None else out if out.suffix == ".html" else out / PAGE
    if page is not None:
        from clothseg.dataset.doctor.page import write_page  # noqa: PLC0415 - OpenCV and Pillow, for pictures

        write_page(diagnosis, page)
    cleaned = write_cleaned(diagnosis, write_clean, overwrite=overwrite) if write_clean is not None else None
    if as_json:
        typer.echo(json.dumps(diagnosis.as_dict(), ensure_ascii=False, indent=2))
    elif not quiet:
        _show(diagnosis)
        if cleaned is not None:
            _show_cleaned(cleaned)
    if page is not None and not quiet:
        ERRORS.print(f"wrote {escape(str(page))}")
    if diagnosis.count(Severity.ERROR):
        raise typer.Exit(1)


def _show(diagnosis: Diagnosis) -> None:
    console = Console(highlight=False)
    for split in diagnosis.splits:
        console.print(f"{escape(str(split.file))}: {_size(len(split.images), len(split.annotations))}")
    found = diagnosis.by_kind()
    if found:
        table = Table()
        table.add_column("kind", no_wrap=True)
        table.add_column("count", justify="right")
        table.add_column("first finding, and what to do", overflow="fold")
        for kind, findings in found.items():
            colour = _COLOURS[findings[0].severity]
            first = escape(f"{findings[0].location.text()}: {findings[0].message}")
            cure = escape(KINDS[kind].cure)
            table.add_row(f"[{colour}]{kind}[/]", str(len(findings)), f"{first}\n[dim]{cure}[/]")
        console.print(table)
    errors, warnings = diagnosis.count(Severity.ERROR), diagnosis.count(Severity.WARNING)
    console.print(f"{counted(errors, 'error')}, {counted(warnings, 'warning')}.")


def _size(photos: int, annotations: int) -> str:
    return f"{counted(photos, 'photo')}, {counted(annotations, 'annotation')}"


def _show_cleaned(cleaned: Cleaned) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"{escape(str(cleaned.folder))}: {_size(cleaned.photos, cleaned.annotations)}. "
        f"Removed {counted(len(cleaned.removed), 'row')}, corrected {len(cleaned.corrected)}; changes.csv lists them."
    )
    incomplete = sum(len(names) for names in cleaned.missing_instances.values())
    if incomplete:
        console.print(
            f"Photos that lost an instance which is still visible and now counts as background: {incomplete}. "
            "Annotate it again, or remove them."
        )
