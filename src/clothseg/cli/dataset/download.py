"""`clothseg dataset download`: the files of Open Images that some classes need."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from clothseg.cli.dataset.build import DEFAULT_CLASSES
from clothseg.cli.inputs import IncludeChildren, Partitions, SourceClasses, names_in
from clothseg.cli.terminal import fail_in_part, print_table, transfer_bar
from clothseg.errors import shell_command
from clothseg.http import RetryPolicy

if TYPE_CHECKING:
    from clothseg.openimages.download import DownloadPlan, DownloadSummary
    from clothseg.openimages.download.job import Advance, OpenBar


def download(
    out: Annotated[Path, typer.Option(help="Folder for the files. An earlier download in it is resumed.")] = Path(
        "open-images"
    ),
    classes: SourceClasses = None,
    include_children: IncludeChildren = False,
    splits: Annotated[str, typer.Option(help="Some of train, validation and test, with commas.")] = "train,validation",
    partitions: Partitions = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of photos in a split, the first by id.")
    ] = None,
    keep_empty: Annotated[
        bool,
        typer.Option(
            "--keep-empty", help="Also fetch photos without any of the classes, at most as many as have masks."
        ),
    ] = False,
    source_url: Annotated[
        str | None, typer.Option(help="A mirror of all files: with the published paths, or as a plain folder.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Number of simultaneous requests.")] = 8,
    tries: Annotated[int, typer.Option(min=1, help="Attempts for one request, with growing waits.")] = 6,
    timeout: Annotated[float, typer.Option(min=0.1, help="Longest time without a single byte, in seconds.")] = 30.0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be fetched. Only class names and lists are fetched.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bars and no table.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print plan and result as JSON.")] = False,
) -> None:
    """Fetch the tables, masks and photos that some classes of Open Images need.

    Single masks are read from the published zips by byte ranges. The same command again resumes, and fetches only what
    is missing. Exit code 1 means that something could not be fetched; it is listed.

    Example: [b]clothseg dataset download --classes Suit,Dress,Jeans --partitions f --out ~/open-images[/]
    """
    from clothseg.openimages.download import FAILED  # noqa: PLC0415 - Polars, which --help does not need
    from clothseg.openimages.download import download as fetch  # noqa: PLC0415 - the same

    names = DEFAULT_CLASSES if classes is None else names_in(classes)
    summary = fetch(
        out,
        names,
        include_children=include_children,
        splits=[s.strip() for s in names_in([splits])],
        partitions=partitions,
        limit=limit,
        keep_empty=keep_empty,
        source_url=source_url,
        workers=workers,
        retry_policy=RetryPolicy(attempts=tries, timeout=timeout),
        dry_run=dry_run,
        show_plan=(lambda plan: None) if quiet or as_json else _show_plan,
        open_bar=_bars(quiet=quiet),
    )
    if as_json:
        typer.echo(json.dumps(summary.as_dict(), ensure_ascii=False, indent=2))
    elif not quiet and not dry_run:
        _show(summary, _build_command(summary, names, include_children, partitions, limit, keep_empty=keep_empty))
    lines = [f"{failure.kind} {failure.file}: {failure.reason}" for failure in summary.failed]
    fail_in_part(lines, summary.plan.folder / FAILED if summary.done else None)


def _bars(*, quiet: bool) -> "OpenBar":
    """Opens bars on stderr, for files or for bytes."""

    @contextmanager
    def open_bar(text: str, total: int, *, in_bytes: bool) -> "Iterator[Advance]":
        with transfer_bar(quiet=quiet, in_bytes=in_bytes) as bar:
            task = bar.add_task(text, total=total or None)
            yield lambda step: bar.advance(task, step)

    return open_bar


def _show_plan(plan: "DownloadPlan") -> None:
    console = Console()
    table = Table(title=f"To {escape(str(plan.folder))}", title_justify="left")
    table.add_column("what", no_wrap=True)
    for heading in ("requested", "existing", "to fetch"):
        table.add_column(heading, justify="right", no_wrap=True)
    rows = plan.short()
    for name, requested, existing, size, _ in rows:
        table.add_row(escape(name), f"{requested:,}", f"{existing:,}", _size(size))
    table.add_section()
    table.add_row("all", "", "", _size(plan.bytes_to_fetch))
    print_table(table)
    for name, _, _, _, note in rows:
        if note:
            console.print(f"{escape(name)}: {note}.")
    for split, counts in plan.rows.items():
        console.print(f"Masks in {split}: " + ", ".join(f"{escape(name)} {n:,}" for name, n in counts.items()) + ".")


def _show(summary: "DownloadSummary", next_command: str) -> None:
    console = Console(soft_wrap=True, highlight=False)
    for kind, count in summary.fetched.items():
        console.print(f"{kind}: {count:,} fetched, {summary.existing[kind]:,} existed already")
    console.print(f"{_size(summary.received)} in {summary.requests:,} requests, {summary.seconds:.1f} s")
    console.print(f"Next: {escape(next_command)}")


def _build_command(
    summary: "DownloadSummary",
    names: list[str],
    include_children: bool,
    partitions: str | None,
    limit: int | None,
    *,
    keep_empty: bool,
) -> str:
    words = ["clothseg", "dataset", "build", str(summary.plan.folder), "--classes", ",".join(names)]
    words += ["--include-children"] if include_children else []
    words += ["--partitions", partitions] if partitions else []
    words += ["--limit", str(limit)] if limit else []
    words += ["--keep-empty"] if keep_empty else []
    words += [] if "validation" in summary.plan.rows else ["--val-fraction", "0.2"]
    words += ["--include-test"] if "test" in summary.plan.rows else []
    return shell_command([*words, "--out", "data"])


def _size(count: int) -> str:
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.2f} GB"
