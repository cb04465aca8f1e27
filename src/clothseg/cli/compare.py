"""`clothseg compare`."""

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from clothseg.cli.completion import runs
from clothseg.cli.inputs import Device, OtherSplit, Overwrite, Quiet
from clothseg.cli.terminal import ERRORS, progress_bar, walk
from clothseg.errors import ClothsegError
from clothseg.evaluation import SCORE_THRESHOLD, SeveralComparison, compare_runs, compare_several
from clothseg.evaluation.comparison.several import require_comparable
from clothseg.evaluation.comparison.text import several_table
from clothseg.evaluation.tables import comparison_table
from clothseg.files import atomic_write, require_absent, require_outside_inputs

PAGE = "comparison.html"


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(autocompletion=runs, help="Folders of evaluated runs, or COCO results files; two or more."),
    ],
    data: Annotated[
        Path | None,
        typer.Option(help="A dataset's folder or COCO ground truth file. Default: the dataset of the runs."),
    ] = None,
    split: OtherSplit = None,
    out: Annotated[
        Path | None, typer.Option(help=f"Write a page: NAME.html, or a folder for {PAGE}. NAME.json: the numbers.")
    ] = None,
    score_threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Score threshold of report_mAP.")
    ] = SCORE_THRESHOLD,
    resamples: Annotated[int, typer.Option(min=100, help="Number of bootstrap samples of the photos.")] = 1000,
    group: Annotated[
        bool | None,
        typer.Option(
            "--group/--no-group",
            help="Count runs that differ only in the seed as one, with their mean. Default: if others remain.",
        ),
    ] = None,
    speed: Annotated[
        bool | None,
        typer.Option("--speed/--no-speed", help="Measure the time per photo. Default: only for a page."),
    ] = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """Compare runs on the same photos: which one is better, and whether the difference can be chance.

    With --out, it writes a page with metrics, differences, speed, size, curves, and the same photos side by side.

    Example: [b]clothseg compare runs/first runs/second[/]

    Example: [b]clothseg compare runs/mask-rcnn runs/yolact runs/deeplab --out comparison.html[/]

    Example: [b]clothseg compare theirs.json runs/second --data data/clothes[/]
    """
    numbers = out if out is not None and out.suffix == ".json" else None
    page = None if out is None or numbers else out if out.suffix == ".html" else out / PAGE
    timed = page is not None if speed is None else speed
    if len(runs) < 2:
        raise ClothsegError(f"one run, {runs[0]}, cannot be compared; name at least two")
    for place in (numbers, page):
        if place is not None:
            require_absent(place, overwrite=overwrite)
            require_outside_inputs(place, [*runs, *([data] if data else [])], allow_inside=True)
    options: dict[str, Any] = {"split": split, "score_threshold": score_threshold, "resamples": resamples}
    if len(runs) == 2 and not (page or timed or group):
        comparison = compare_runs(runs[0], runs[1], data, **options)
        text, table = json.dumps(asdict(comparison), indent=2), comparison_table(comparison, runs[0].name, runs[1].name)
    else:
        found = _several(runs, data, page, options | {"group": group}, timed=timed, device=device, quiet=quiet)
        text, table = found.to_json(), several_table(found)
    if numbers is not None:
        atomic_write(numbers, text + "\n")
    if as_json or not (quiet and out):
        print(text if as_json else table)
    if out is not None and not quiet:
        ERRORS.print(f"wrote {escape(str(page or out))}")


def _several(
    runs: list[Path], data: Path | None, page: Path | None, options: dict[str, Any], *, timed: bool, device: str,
    quiet: bool,
) -> SeveralComparison:  # fmt: skip
    with progress_bar(quiet=quiet) as bar:
        progress = partial(walk, bar)
        if page is None and not timed:
            return compare_several(runs, data, progress=progress, **options)
        require_comparable(runs, data, options["split"])
        from clothseg.report import compare_networks  # noqa: PLC0415 - PyTorch; wrong input is refused without it

        return compare_networks(runs, page, data, speed=timed, device=device, progress=progress, **options)
