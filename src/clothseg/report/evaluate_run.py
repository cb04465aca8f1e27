"""Evaluates a run on the validation photos of a dataset and writes the results into its folder."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from clothseg.dataset import CocoLikeDataset
from clothseg.dataset.reading import describe_corrections
from clothseg.devices import AUTO, resolve_device
from clothseg.errors import UnreadPhotosError
from clothseg.evaluation import Metrics, truth_of, with_unread
from clothseg.evaluation.stored import split_of_run, validation_split
from clothseg.files import atomic_write
from clothseg.journal import folder_lock
from clothseg.models import Model
from clothseg.prediction.compile import compile_for_inference
from clothseg.progress import ProgressBar, no_progress
from clothseg.report.calibrate import calibrate_run, check_results
from clothseg.report.page import write_report
from clothseg.runs import RunFolder


def evaluate_run(
    run: Path | str,
    data: Path | str,
    *,
    split: str | None = None,
    score_threshold: float | None = None,
    initial_weights: bool = False,
    calibrate: bool = False,
    compile: bool = False,
    device: str | torch.device = AUTO,
    unread: list[str] | None = None,
    progress: ProgressBar = no_progress,
    notify: Callable[[str], object] = lambda message: None,
) -> Metrics:
    """Evaluates a run and writes `metrics.json`, `predictions.json` and `report.html` into its folder.

    Args:
        run: the run's folder.
        data: the dataset, in any layout that `dataset.reading.find_layout` knows; its validation photos are used, or
            those that the run kept for validation. It may have fewer classes than the network.
        split: another split than `val`.
        score_threshold: of `report_mAP`; by default the run's `inference.score_threshold`.
        initial_weights: whether to evaluate the network as it was before training. The metrics then go to
            `metrics-initial.json`, and `predictions.json` stays as it is.
        calibrate: whether to fit the calibration of the scores to these photos and keep it in the run's weights. The
            metrics are those of the calibrated scores.
        compile: whether to compile the network first; the run's `inference.compile` does the same.
        device: that the network runs on; see `devices.resolve_device`.
        unread: receives a message for each photo that cannot be read; its objects count as missed, and a note of the
            metrics says so. Otherwise they are an error at the end.
        progress: wraps the photos, for a progress bar.
        notify: receives messages, for example about corrections of the annotations.

    Returns:
        The metrics, fractions in 0..1.

    Raises:
        ClothsegError: the run is being evaluated by another command.
        RunError: the run has no weights, or the dataset has a class that the network does not know.
        ConfigError, WeightsError: the run's configuration or weights cannot be read, or there is no such device.
        DataError: the dataset cannot be read, or scores cannot be calibrated on it.
        PhotoError: none of its photos can be read.
        UnreadPhotosError: some photos cannot be read, and `unread` is not given. All files are written, and its
            `results` are the metrics.
    """
    begun, device = time.monotonic(), resolve_device(device)
    folder = RunFolder(Path(run))
    val = read_validation(folder.path, Path(data), split)
    if corrected := describe_corrections(val.source or data, val.corrections):
        notify(corrected)
    model = Model.load_initial(run, val.classes, device=device) if initial_weights else Model.load(run, device=device)
    if message := compile_for_inference(model, requested=compile):
        notify(message)
    with folder_lock(folder.path, "evaluation"):
        if calibrate:
            model.calibration = None  # the network's own scores are needed
        bad: list[str] = []
        results = [row for rows in progress(model.predict_dataset(val, bad), len(val), "evaluating") for row in rows]
        if calibrate and len(bad) < len(val):
            results = calibrate_run(model, folder, truth_of(val), results)
            notify(f"calibrated: {model.calibration.sentence(model.classes) if model.calibration else ''}")
        metrics = with_unread(model.evaluate(val, results, score_threshold=score_threshold), bad, [])
        if model.calibration is not None:
            metrics = replace(metrics, calibration=check_results(model, truth_of(val), results))
        atomic_write(folder.initial_metrics if initial_weights else folder.metrics, metrics.to_json())
        if not initial_weights:
            atomic_write(folder.predictions, json.dumps(results))
        name = "evaluate initial weights" if initial_weights else "evaluate"
        folder.add_facts({"timings": {name: round(time.monotonic() - begun, 1)}})
        write_report(folder.path, Path(data), split=split)
    if unread is None and bad:
        raise UnreadPhotosError(bad, len(val), metrics)
    if unread is not None:
        unread += bad
    return metrics


def read_validation(run: Path, data: Path, split: str | None = None) -> CocoLikeDataset:
    """The photos to evaluate a run on, prepared: a split of the dataset, or those that the run kept for validation.

    Raises:
        DataError: there is no such split, or it cannot be used.
        RunError: the split of the run cannot be read.
    """
    files = validation_split(data, split, [run])
    val = CocoLikeDataset().load_data(data, split or files.name).prepare()
    own = None if split else split_of_run([run], files)
    return val if own is None else val.only(own.val)
