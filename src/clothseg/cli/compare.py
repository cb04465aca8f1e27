"""`clothseg compare`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from clothseg.cli.inputs import Overwrite, Quiet
from clothseg.cli.terminal import ERRORS
from clothseg.evaluation import SCORE_THRESHOLD, compare_runs
from clothseg.evaluation.tables import comparison_table
from clothseg.files import atomic_write, require_absent, require_outside_inputs


def compare(
    a: Annotated[Path, typer.Argument(help="An evaluated run's folder, or a COCO results file.")],
    b: Annotated[Path, typer.Argument(help="Another one, on the same photos.")],
    data: Annotated[
        Path | None,
        typer.Option(help="A dataset's folder or COCO ground truth file. Default: the dataset of the runs."),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Another split of the dataset than val.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the differences to this JSON file.")] = None,
    score_threshold: Annotated[float, typer.Option(min=0, max=1, help="Of report_mAP only.")] = SCORE_THRESHOLD,
    resamples: Annotated[int, typer.Option(min=100, help="Number of bootstrap samples of the photos.")] = 1000,
    overwrite: Overwrite = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the differences as JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """Compare two runs on the same photos: which one is better, and whether the difference can be chance.

    Example: [b]clothseg compare runs/first runs/second[/]

    Example: [b]clothseg compare theirs.json runs/second --data data/clothes[/]
    """
    if out is not None:
        require_absent(out, overwrite=overwrite)
        require_outside_inputs(out, [a, b, *([data] if data else [])], allow_inside=True)
    comparison = compare_runs(a, b, data, split=split, score_threshold=score_threshold, resamples=resamples)
    text = json.dumps(asdict(comparison), indent=2)
    if out is not None:
        atomic_write(out, text + "\n")
    print(text if as_json else comparison_table(comparison, a.name, b.name))
    if out is not None and not quiet:
        ERRORS.print(f"wrote {escape(str(out))}")
