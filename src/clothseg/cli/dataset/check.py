"""`clothseg dataset check`: what is wrong with a COCO data set."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from clothseg.cli.terminal import progress_bar
from clothseg.dataset.doctor import KINDS, MIN_INSTANCES, Cleaned, Diagnosis, Severity, examine, write_cleaned
from clothseg.dataset.doctor.page import write_page
from clothseg.files import require_absent

_COLOURS = {Severity.ERROR: "bold red", Severity.WARNING: "yellow"}


def check(
    data: Annotated[
        list[Path],
        typer.Argument(help="A data set's folder, or COCO JSON files, one for each split.", show_default=False),
    ],
    images: Annotated[
        list[Path] | None,
        typer.Option("--images", help="Folder of the photos, repeated; default: the usual places around each file."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write a page with pictures of the worst: page.html.")
    ] = None,
    write_clean: Annotated[
        Path | None,
        typer.Option("--write-clean", help="Folder for a cleaned copy, with the list of what it leaves out."),
    ] = None,
    min_instances: Annotated[
        int, typer.Option(min=0, help="A class with fewer instances in all files together is told.")
    ] = MIN_INSTANCES,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is at --write-clean.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar and no table.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print every finding as JSON.")] = False,
) -> None:
    """Find what is wrong with a COCO data set, ours or anybody's.

    Exit code 0: no errors (there may be warnings); 1: errors were found; 2: the input is no data set.

    Example: [b]clothseg dataset check data/clothes --out check.html --write-clean data/clean[/]
    """
    if write_clean is not None:
        require_absent(write_clean, overwrite=overwrite)
    with progress_bar(quiet=quiet) as bar:

        def progress(photos: Sequence[Path], text: str) -> Iterator[Path]:
            yield from bar.track(photos, description=text)

        diagnosis = examine(data, images or [], min_instances=min_instances, progress=progress)
    if out is not None:
        write_page(diagnosis, out)
    cleaned = write_cleaned(diagnosis, write_clean, overwrite=overwrite) if write_clean is not None else None
    if as_json:
        typer.echo(json.dumps(diagnosis.as_dict(), ensure_ascii=False, indent=2))
    elif not quiet:
        _show(diagnosis)
        if cleaned is not None:
            _show_cleaned(cleaned)
    if diagnosis.count(Severity.ERROR):
        raise typer.Exit(1)


def _show(diagnosis: Diagnosis) -> None:
    console = Console(highlight=False)
    for split in diagnosis.splits:
        console.print(f"{escape(str(split.file))}: {len(split.images)} photos, {len(split.annotations)} annotations")
    found = diagnosis.by_kind()
    if found:
        table = Table()
        table.add_column("kind", no_wrap=True)
        table.add_column("count", justify="right")
        table.add_column("the first, and what to do", overflow="fold")
        for kind, findings in found.items():
            colour = _COLOURS[findings[0].severity]
            first = (
                f"{escape(findings[0].place.text())}: {escape(findings[0].words)}\n[dim]{escape(KINDS[kind].cure)}[/]"
            )
            table.add_row(f"[{colour}]{kind}[/]", str(len(findings)), first)
        console.print(table)
    errors, warnings = diagnosis.count(Severity.ERROR), diagnosis.count(Severity.WARNING)
    console.print(f"{errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}.")


def _show_cleaned(cleaned: Cleaned) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"{escape(str(cleaned.folder))}: {cleaned.photos} photos, {cleaned.annotations} annotations; left out "
        f"{len(cleaned.left_out)} rows, set right {len(cleaned.set_right)}; changes.csv lists them."
    )
    thin = sum(len(names) for names in cleaned.thinned.values())
    if thin:
        console.print(
            f"On {thin} of its photos an instance was left out that is still to be seen and now counts as background: "
            "mask it again, or take the photo out."
        )
