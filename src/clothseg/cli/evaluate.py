"""`clothseg evaluate`."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from clothseg.cli.completion import networks
from clothseg.cli.inputs import Compile, Device, OtherSplit, Overwrite, Quiet
from clothseg.cli.terminal import ERRORS, fail_for_unread, opening, progress_bar, walk
from clothseg.config import Config
from clothseg.dataset.reading import describe_corrections
from clothseg.devices import AUTO, check_device_name
from clothseg.errors import ClothsegError
from clothseg.evaluation import SCORE_THRESHOLD, Metrics, evaluate_coco
from clothseg.evaluation.predicted_files import read_results_for
from clothseg.evaluation.stored import shared_data, truth_for, validation_split
from clothseg.files import atomic_write, require_absent, require_outside_inputs
from clothseg.runs import RunFolder
from clothseg.weights import check_model


def evaluate(
    run: Annotated[
        Path,
        typer.Argument(
            autocompletion=networks, help="A run's folder, garments, or a COCO results file of any detector."
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Argument(
            help="A dataset's folder (its validation photos), or a COCO ground truth file. Default: the run's own."
        ),
    ] = None,
    split: OtherSplit = None,
    out: Annotated[Path | None, typer.Option(help="For a results file: write the metrics to this JSON file.")] = None,
    score_threshold: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Score threshold of report_mAP. Default: that of the run."),
    ] = None,
    initial: Annotated[
        bool, typer.Option("--initial-weights", help="Evaluate the network as it was before training, for comparison.")
    ] = False,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate", help="Fit scores to how often detections are right, and keep that in the run's weights."
        ),
    ] = False,
    compile_: Compile = False,
    device: Device = "auto",
    overwrite: Overwrite = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the metrics as JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """Evaluate a run on validation photos, or any COCO results file: AP of masks, boxes and boundaries, the report's
    mAP, 95 % intervals, best score thresholds, errors by kind. A run gets metrics.json and report.html.

    Example: [b]clothseg evaluate runs/first[/]

    Example: [b]clothseg evaluate runs/first data/clothes --calibrate[/]

    Example: [b]clothseg evaluate results.json data/clothes/annotations/val.json --out scores.json[/]
    """
    unread: list[str] = []
    if run.is_file() and run.suffix == ".json":
        if initial:
            raise ClothsegError("--initial-weights needs a run's folder; a results file has no network")
        if calibrate:
            raise ClothsegError("--calibrate needs a run's folder; a results file has no weights")
        if device != AUTO:
            raise ClothsegError("--device needs a run's folder; a results file has no network")
        if data is None:
            raise ClothsegError(
                f"{run}: a results file does not say which photos it is about; name the dataset after it"
            )
        metrics = _results_file(run, data, split, out, score_threshold, overwrite=overwrite, quiet=quiet)
        written = out
    else:
        if out is not None:
            raise ClothsegError("--out is only for a results file; the metrics of a run are written into its folder")
        if calibrate and initial:
            raise ClothsegError("--calibrate and --initial-weights do not go together: only trained weights are kept")
        metrics, unread = _run(
            run, data or _own_data(run, initial=initial), split, score_threshold, device,
            initial=initial, calibrate=calibrate, compiled=compile_, quiet=quiet,
        )  # fmt: skip
        written = RunFolder(run).report
    if as_json or not (quiet and written):
        print(metrics.to_json() if as_json else metrics.table())
    if written and not quiet:
        ERRORS.print(f"wrote {escape(str(written))}")
    fail_for_unread(unread)


def _results_file(
    results: Path,
    data: Path,
    split: str | None,
    out: Path | None,
    score_threshold: float | None,
    *,
    overwrite: bool,
    quiet: bool,
) -> Metrics:
    files = validation_split(data, split)
    if out is not None:
        require_absent(out, overwrite=overwrite)
        require_outside_inputs(out, [results, files.annotations], allow_inside=True)
    least = SCORE_THRESHOLD if score_threshold is None else score_threshold
    truth = truth_for(data, split)
    if not quiet and (corrected := describe_corrections(files.annotations, truth.corrections)):
        ERRORS.print(escape(corrected))
    found = read_results_for(results, truth)
    metrics = evaluate_coco(truth, found.rows, score_threshold=least)
    metrics = replace(metrics, notes=(*found.notes, *metrics.notes))
    if out is not None:
        atomic_write(out, metrics.to_json())
    return metrics


def _own_data(run: Path, *, initial: bool) -> Path:
    """The dataset that the run was trained on."""
    _check_run(run, initial=initial)
    if not run.is_dir():
        raise ClothsegError(f"{run}: only a run's folder says which dataset it is about; name the dataset after it")
    return shared_data([run], "after the run")


def _check_run(run: Path, *, initial: bool) -> None:
    if initial:
        Config.load_saved(RunFolder(run).config)
    else:
        check_model(run)


def _run(
    run: Path,
    data: Path,
    split: str | None,
    score_threshold: float | None,
    device: str,
    *,
    initial: bool,
    calibrate: bool,
    compiled: bool,
    quiet: bool,
) -> tuple[Metrics, list[str]]:
    """The metrics, and a message for each photo that cannot be read."""
    validation_split(data, split, [run])
    check_device_name(device)
    _check_run(run, initial=initial)
    with opening(quiet=quiet):
        from clothseg.report import evaluate_run  # noqa: PLC0415 - PyTorch; wrong input is refused without it

    unread: list[str] = []
    with progress_bar(quiet=quiet) as bar:
        metrics = evaluate_run(
            run,
            data,
            split=split,
            score_threshold=score_threshold,
            initial_weights=initial,
            calibrate=calibrate,
            compile=compiled,
            device=device,
            unread=unread,
            progress=partial(walk, bar),
            notify=lambda message: None if quiet else ERRORS.print(escape(message)),
        )
    return metrics, unread
