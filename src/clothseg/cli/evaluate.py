"""`clothseg evaluate`."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from clothseg.cli.compile import Compile, compile_network
from clothseg.cli.inputs import Quiet, annotations_file
from clothseg.cli.terminal import ERRORS, progress_bar
from clothseg.errors import ClothsegError
from clothseg.evaluation import SCORE_THRESHOLD, Metrics, evaluate_coco
from clothseg.evaluation.validate_results import read_results
from clothseg.files import atomic_write, require_absent
from clothseg.runs import RunFolder


def evaluate(
    run: Annotated[Path, typer.Argument(help="A run's folder, or a COCO results file of any detector.")],
    data: Annotated[Path, typer.Argument(help="A data set's folder (its validation photos), or a COCO truth file.")],
    out: Annotated[Path | None, typer.Option(help="Where figures of a results file go, as JSON.")] = None,
    score_threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Of report_mAP alone; a run's own setting by default.")
    ] = None,
    initial: Annotated[
        bool, typer.Option("--initial-weights", help="Judge the network as it was before training, for comparison.")
    ] = False,
    compile_: Compile = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file --out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """Score a run on the validation photos, or anybody's results file: AP of masks, boxes and boundaries, the report's
    mAP, 95 % intervals, best score thresholds, mistakes by kind. A run gets metrics.json and report.html.

    Example: [b]clothseg evaluate runs/first data/clothes[/]

    Example: [b]clothseg evaluate results.json data/clothes/annotations/val.json --out figures.json[/]
    """
    if run.is_file() and run.suffix == ".json":
        if initial:
            raise ClothsegError("--initial-weights needs a run's folder; a results file has no network")
        metrics = _results_file(run, data, out, score_threshold, overwrite=overwrite)
        written = out
    else:
        if out is not None:
            raise ClothsegError("--out goes with a results file; the figures of a run are written into its folder")
        metrics, written = _run(run, data, score_threshold, initial=initial, compiled=compile_, quiet=quiet)
    print(metrics.to_json() if as_json else metrics.table())
    if written and not quiet:
        ERRORS.print(f"wrote {escape(str(written))}")


def _results_file(
    results: Path, data: Path, out: Path | None, score_threshold: float | None, *, overwrite: bool
) -> Metrics:
    if out is not None:
        require_absent(out, overwrite=overwrite)
    rows = read_results(results)
    least = SCORE_THRESHOLD if score_threshold is None else score_threshold
    metrics = evaluate_coco(annotations_file(data), rows, score_threshold=least)
    if out is not None:
        atomic_write(out, metrics.to_json())
    return metrics


def _run(
    run: Path, data: Path, score_threshold: float | None, *, initial: bool, compiled: bool, quiet: bool
) -> tuple[Metrics, Path]:
    from clothseg.dataset import CocoLikeDataset  # noqa: PLC0415 - torch; a results file needs none
    from clothseg.models import Model  # noqa: PLC0415
    from clothseg.report import write_report  # noqa: PLC0415

    begun = time.monotonic()
    folder = RunFolder(run)
    val = CocoLikeDataset().load_data(data, "val").prepare()
    model = Model.load_initial(run, val.classes) if initial else Model.load(run)
    compile_network(model, compiled=compiled, quiet=quiet)
    with progress_bar(quiet=quiet) as bar:
        photos = bar.track(model.predict_dataset(val), total=len(val), description="evaluating")
        results = [row for rows in photos for row in rows]
    metrics = model.evaluate(val, results, score_threshold=score_threshold)
    atomic_write(folder.initial_metrics if initial else folder.metrics, metrics.to_json())
    if not initial:
        atomic_write(folder.predictions, json.dumps(results))
    name = "evaluate initial weights" if initial else "evaluate"
    folder.add_facts({"timings": {name: round(time.monotonic() - begun, 1)}})
    return metrics, write_report(run, data)
