"""COCO's metrics, computed by a library. For evaluation, `hotcoco` is imported only here.

Two traps of the library (and of pycocotools, which it follows) are avoided before it sees the data. Annotation ids are
numbered again from 1, because an object with id 0 counts as never found. Masks are evaluated without the boxes of the
results, because the area of the boxes would decide which detections are small.
"""

from collections.abc import Sequence
from typing import Any, cast

import hotcoco
import numpy as np
from numpy.typing import NDArray

from clothseg.evaluation.columns import ResultColumns
from clothseg.evaluation.matches import ClassMatches, Records, class_matches
from clothseg.evaluation.truth import GroundTruth
from clothseg.evaluation.values import Confusion, Curve, ErrorKind
from clothseg.gc_pause import gc_paused
from clothseg.instances import CocoResult, pixel_counts

FIELDS = {"mask": "segmentation", "box": "bbox"}
OVERALL = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large", "AR_1", "AR_10", "AR_100")
OF_CLASS = ("AP", "AP50", "AP75", "AR_100")
_EVALUATORS = {"mask": "segm", "box": "bbox"}
_LARGEST_EXACT = 2**53
_MAX_DETECTIONS = 100  # per photo and class
_KINDS = {"Cls": "class", "Loc": "location", "Both": "both", "Dupe": "duplicate", "Bkg": "background", "Miss": "missed"}


def run_evaluator(truth: GroundTruth, rows: Sequence[CocoResult], kind: str) -> hotcoco.COCOeval:
    """The library's evaluator, matched and accumulated; `rows` are checked results, `kind` is mask or box."""
    evaluator = _evaluator(truth, rows, kind)
    evaluator.evaluate()
    evaluator.accumulate()
    return evaluator


@gc_paused()
def _evaluator(truth: GroundTruth, rows: Sequence[CocoResult], kind: str) -> hotcoco.COCOeval:
    ground = hotcoco.COCO(dict((truth.for_masks if kind == "mask" else truth).tree))
    if isinstance(rows, ResultColumns) and _are_exact(rows.photos) and _are_exact(rows.classes):
        found = _load_columns(ground, rows, kind)
    else:
        kept = ("image_id", "category_id", "score", FIELDS[kind])
        found = ground.load_res([{key: value for key, value in row.items() if key in kept} for row in rows])
    return hotcoco.COCOeval(ground, found, _EVALUATORS[kind])


def _load_columns(ground: hotcoco.COCO, rows: ResultColumns, kind: str) -> hotcoco.COCO:
    """The same as loading rows with only the mask or the box, without an object of Python for each row."""
    table = np.zeros((len(rows), 7))  # image_id, x, y, width, height, score, category_id
    table[:, 0], table[:, 5], table[:, 6] = rows.photos, rows.scores, rows.classes
    if kind == "box":
        if rows.boxes is not None:
            table[:, 1:5] = rows.boxes
        return ground.load_res(table)
    masks = cast(list[Any], rows.masks())
    areas = pixel_counts(rows.counts or ())[1] if rows.areas is None else rows.areas
    found = ground.load_res(table, segmentation=masks)
    found.update_anns(ids=np.arange(1, len(rows) + 1), area=areas.astype(np.float64))  # of the mask, not of the box
    return found


def _are_exact(numbers: NDArray[np.int64]) -> bool:
    """Whether floats can hold these whole numbers."""
    return bool((numbers <= _LARGEST_EXACT).all())


def matches(truth: GroundTruth, rows: Sequence[CocoResult], kind: str) -> dict[int, ClassMatches]:
    """The library's matches of every class by category id, over objects of all sizes."""

    def records(chunk: GroundTruth, chunk_rows: Sequence[CocoResult]) -> Records:
        evaluator = _evaluator(chunk, chunk_rows, kind)
        evaluator.params.area_rng, evaluator.params.area_rng_lbl = [[0.0, 1e10]], ["all"]
        evaluator.evaluate()
        return evaluator.eval_imgs

    return class_matches(truth, rows, records)


def overall(kind: str, evaluator: Any) -> dict[str, float | None]:
    """The metrics `OVERALL` of an accumulated evaluator, named with `kind`; all None if `evaluator` is None."""
    if evaluator is None:
        return {f"{kind}_{name}": None for name in OVERALL}
    precision, recall = _arrays(evaluator)
    ap = precision[..., -1]
    values = [_mean(ap[..., 0]), _mean(ap[0, ..., 0]), _mean(ap[5, ..., 0])]
    values += [_mean(ap[..., area]) for area in (1, 2, 3)]
    values += [_mean(recall[:, :, 0, limit]) for limit in range(3)]
    return {f"{kind}_{name}": value for name, value in zip(OVERALL, values, strict=True)}


def of_class(kind: str, evaluator: Any, position: int) -> dict[str, float | None]:
    """The metrics `OF_CLASS` of the class at `position` among the category ids."""
    if evaluator is None:
        return {f"{kind}_{name}": None for name in OF_CLASS}
    precision, recall = _arrays(evaluator)
    ap = precision[:, :, position, 0, -1]
    values = (_mean(ap), _mean(ap[0]), _mean(ap[5]), _mean(recall[:, position, 0, -1]))
    return {f"{kind}_{name}": value for name, value in zip(OF_CLASS, values, strict=True)}


def _arrays(evaluator: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """precision `[T, R, K, A, M]` and recall `[T, K, A, M]`: thresholds, recalls, classes, areas, detection limits."""
    found = evaluator.eval
    if not found:
        raise RuntimeError("the evaluator did not run; call accumulate() first")
    return np.asarray(found["precision"]), np.asarray(found["recall"])


def _mean(values: NDArray[np.float64]) -> float | None:
    """The mean of the computed values; the evaluator writes -1 where there is no object."""
    computed = values[values > -1]
    return float(computed.mean()) if computed.size else None


def curve(evaluator: hotcoco.COCOeval, position: int) -> Curve | None:
    """The precision-recall curve at IoU .50 of the class at `position`; None if there is no object of the class."""
    precision, _ = _arrays(evaluator)
    if evaluator.eval is None or precision[0, 0, position, 0, -1] < 0:
        return None
    scores = np.asarray(evaluator.eval["scores"])[0, :, position, 0, -1]
    return Curve(tuple(precision[0, :, position, 0, -1].tolist()), tuple(np.maximum(scores, 0.0).tolist()))


def confusion(evaluator: hotcoco.COCOeval, threshold: float) -> Confusion:
    """The confusion matrix at IoU .50 of the detections with a score of at least `threshold`."""
    found = evaluator.confusion_matrix(iou_thr=0.5, max_det=_MAX_DETECTIONS, min_score=threshold)
    rows = tuple(tuple(int(count) for count in row) for row in np.asarray(found["matrix"]))
    return Confusion(tuple(str(name) for name in found["cat_names"]), rows, threshold)


def tide_errors(evaluator: hotcoco.COCOeval) -> dict[str, ErrorKind]:
    """Errors by kind at IoU .50, and the cost of each kind in AP50. Source: Bolya et al., "TIDE", ECCV 2020."""
    found = evaluator.tide_errors(pos_thr=0.5, bg_thr=0.1)
    return {name: ErrorKind(int(found["counts"][key]), float(found["delta_ap"][key])) for key, name in _KINDS.items()}
