"""`clothseg compare`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from clothseg.cli.inputs import Quiet, annotations_file
from clothseg.cli.terminal import ERRORS
from clothseg.evaluation import SCORE_THRESHOLD, compare_results
from clothseg.evaluation.stored import shared_data, stored_results
from clothseg.evaluation.tables import comparison_table
from clothseg.files import atomic_write, require_absent


def compare(
    a: Annotated[Path, typer.Argument(help="An evaluated run's folder, or a COCO results file.")],
    b: Annotated[Path, typer.Argument(help="Another, on the same photos.")],
    data: Annotated[
        Path | None, typer.Option(help="The data set's folder or COCO truth file; by default the one of the runs.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where the differences go, as JSON.")] = None,
    score_threshold: Annotated[float, typer.Option(min=0, max=1, help="Of report_mAP alone.")] = SCORE_THRESHOLD,
    resamples: Annotated[int, typer.Option(min=100, help="How often photos are drawn.")] = 1000,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file --out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the differences as JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """Say which of two runs is better on the same photos, and whether that can be the chance of which photos these are.

    Example: [b]clothseg compare runs/first runs/second[/]

    Example: [b]clothseg compare theirs.json runs/second --data data/clothes[/]
    """
    if out is not None:
        require_absent(out, overwrite=overwrite)
    truth = annotations_file(data if data is not None else shared_data([a, b]))
    found = compare_results(
        truth,
        stored_results(a, truth),
        stored_results(b, truth),
        score_threshold=score_threshold,
        resamples=resamples,
    )
    text = json.dumps(asdict(found), indent=2)
    if out is not None:
        atomic_write(out, text + "\n")
    print(text if as_json else comparison_table(found, a.name, b.name))
    if out is not None and not quiet:
        ERRORS.print(f"wrote {escape(str(out))}")
