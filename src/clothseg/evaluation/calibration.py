"""Fits a calibration to detections on validation photos, and judges it on photos that it was not fitted to.

The detections of a class say little if there are few. So all detections together count as much as `PRIOR` more
detections of each class: a class without detections gets the values of all, one with many its own.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from clothseg.errors import DataError
from clothseg.evaluation.reliability import Judged, expected_errors, photo_folds, reliability
from clothseg.evaluation.values import CalibrationCheck
from clothseg.instances import Calibration
from clothseg.instances.calibration import OFFSETS, TEMPERATURES, logit, sigmoid

PRIOR = 50.0
"""So many detections of a class weigh as much as the detections of all classes together."""
FOLDS = 5


def fit_calibration(judged: Judged, classes: int, *, photos: int, truth: str, prior: float = PRIOR) -> Calibration:
    """The calibration with the lowest cross entropy, for each class of its own detections and those of all classes.

    The cross entropy is convex in 1 / temperature and offset, so there is one best value.

    Args:
        judged: detections with the network's own scores, and its class numbers 1..K as `classes`.
        classes: K.
        photos: number of photos.
        truth: fingerprint of the ground truth.
        prior: see `PRIOR`.

    Raises:
        DataError: the detections are all right or all wrong, or there is none.
    """
    if not judged.right.any() or judged.right.all():
        kinds = f"all {len(judged)} detections are {'right' if judged.right.any() else 'wrong'}"
        raise DataError(
            f"scores cannot be calibrated: {kinds if len(judged) else 'there is no detection'}, and it takes right and "
            "wrong ones; train longer, or use more validation photos"
        )
    logits = logit(judged.scores)
    values = []
    for class_id in range(1, classes + 1):
        weights = (judged.classes == class_id) + prior / len(judged)
        values.append(fit_scale_and_offset(logits, judged.right, weights))
    counts = np.bincount(judged.classes, minlength=classes + 1)[1:]
    return Calibration(
        tuple(1 / scale for scale, _ in values),
        tuple(offset for _, offset in values),
        tuple(counts.tolist()),
        photos,
        truth,
    )


def fit_scale_and_offset(
    logits: NDArray[np.float64], right: NDArray[np.bool_], weights: NDArray[np.float64]
) -> tuple[float, float]:
    """Scale (1 / temperature) and offset with the lowest weighted cross entropy, within the limits of `Calibration`.

    Args:
        logits: `[N]` float.
        right: `[N]` bool.
        weights: `[N]` float, 0 or more, of the detections.
    """
    from scipy.optimize import minimize  # noqa: PLC0415 - a third of a second that other evaluations do not need

    def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        raised = values[0] * logits + values[1]
        error = weights * (sigmoid(raised) - right)
        entropy = weights @ (np.logaddexp(0.0, raised) - right * raised)
        return float(entropy), np.array([error @ logits, error.sum()])

    limits = [(1 / TEMPERATURES[1], 1 / TEMPERATURES[0]), OFFSETS]
    found = minimize(loss, np.array([1.0, 0.0]), jac=True, bounds=limits, method="L-BFGS-B", options={"ftol": 1e-12})
    scale, offset = (float(value) for value in found.x)
    return scale, offset


def check_calibration(
    judged: Judged, calibration: Calibration, names: Mapping[int, str], *, same_photos: bool, folds: int = FOLDS
) -> CalibrationCheck | None:
    """The expected calibration error before and after calibration.

    Photos that chose the temperatures cannot judge them. On these, each part of the photos is judged by a calibration
    that is fitted to the other parts (cross-fitting).

    Args:
        judged: detections with the network's own scores, and its class numbers as `classes`.
        calibration: that the network has.
        names: class names by the network's class numbers.
        same_photos: whether `calibration` was fitted to these photos.
        folds: number of parts.

    Returns:
        None without detections.
    """
    before = reliability(judged.scores, judged.right)
    if before is None:
        return None
    scores = calibration.scores(judged.scores, judged.classes)
    if same_photos:
        scores = cross_fitted_scores(judged, len(calibration.temperatures), calibration.photos, folds)
    after = reliability(scores, judged.right)
    assert after is not None
    return CalibrationCheck(
        before=before,
        after=after,
        cross_fitted=same_photos,
        temperatures={name: calibration.temperatures[key - 1] for key, name in names.items()},
        offsets={name: calibration.offsets[key - 1] for key, name in names.items()},
        errors_before=expected_errors(judged, judged.scores, names),
        errors_after=expected_errors(judged, scores, names),
        photos=calibration.photos,
    )


def cross_fitted_scores(judged: Judged, classes: int, photos: int, folds: int = FOLDS) -> NDArray[np.float64]:
    """`[N]` scores, each calibrated by the detections on other photos; the network's own where these cannot say.

    Args:
        judged: detections with the network's own scores.
        classes: number of classes of the network.
        photos: number of photos.
        folds: parts of the photos, at most one for each photo.
    """
    fold = photo_folds(photos, min(folds, photos))
    scores = judged.scores.copy()
    for number in range(int(fold.max(initial=0)) + 1):
        held_out = fold[judged.photos] == number
        others = Judged(*(part[~held_out] for part in (judged.scores, judged.right, judged.classes, judged.photos)))
        try:
            fitted = fit_calibration(others, classes, photos=photos, truth="")
        except DataError:
            continue
        scores[held_out] = fitted.scores(judged.scores[held_out], judged.classes[held_out])
    return scores
