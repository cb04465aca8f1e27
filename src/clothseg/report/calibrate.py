"""Calibrates the scores of a run on validation photos, and checks the calibration that a run has."""

from collections.abc import Sequence

from clothseg.evaluation.calibrated_results import calibrated_results, class_numbers, judged_results, raw_results
from clothseg.evaluation.calibration import check_calibration, fit_calibration
from clothseg.evaluation.truth import GroundTruth
from clothseg.evaluation.values import CalibrationCheck
from clothseg.instances import CocoResult
from clothseg.models import Model
from clothseg.runs import RunFolder
from clothseg.weights import write_network
from clothseg.weights.formats.native import read_network


def calibrate_run(model: Model, run: RunFolder, truth: GroundTruth, results: Sequence[CocoResult]) -> list[CocoResult]:
    """Fits a calibration, gives it to `model`, and writes it into the weights file of the run.

    Args:
        model: of the run.
        run: its weights file is written again, as a whole.
        truth: the ground truth.
        results: with the network's own scores.

    Returns:
        the results with calibrated scores.

    Raises:
        DataError: the detections are all right or all wrong, or there is none.
    """
    judged = judged_results(truth, results, model.classes)
    calibration = fit_calibration(judged, len(model.classes), photos=len(truth.photos), truth=truth.fingerprint)
    saved = read_network(run.weights)
    write_network(run.weights, saved.tensors, saved.config, saved.classes, calibration)
    model.calibration = calibration
    return calibrated_results(results, calibration, class_numbers(truth, model.classes))


def check_results(model: Model, truth: GroundTruth, results: Sequence[CocoResult]) -> CalibrationCheck | None:
    """The expected calibration error before and after the calibration of `model`; see `check_calibration`.

    Args:
        model: with a calibration.
        truth: the ground truth.
        results: with calibrated scores.

    Returns:
        None without a calibration or detections.
    """
    if model.calibration is None:
        return None
    numbers = class_numbers(truth, model.classes)
    judged = judged_results(truth, raw_results(results, model.calibration, numbers), model.classes)
    names = {numbers[c]: name for c, name in truth.names.items() if c in numbers}
    same = truth.fingerprint == model.calibration.truth
    return check_calibration(judged, model.calibration, names, same_photos=same)
