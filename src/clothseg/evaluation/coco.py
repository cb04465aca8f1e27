"""The library's COCO evaluator behind our names. `hotcoco` is imported here and nowhere else for evaluation.

What its ancestor trips over is set right before it sees the data: annotation ids are numbered anew from 1 (an object
with id 0 counts as never found there), and masks are judged without the boxes of the results (their area would decide
what is small).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import hotcoco
import numpy as np
from numpy.typing import NDArray

from clothseg.errors import DataError
from clothseg.evaluation.intervals import ClassMatches, Interval, bootstrap
from clothseg.evaluation.metrics import ClassMetrics, Metrics
from clothseg.instances import from_segmentation, mask_area

_AREAS = ("all", "small", "medium", "large")
_EVALUATORS = {"mask": "segm", "box": "bbox"}
_FIELDS = {"mask": "segmentation", "box": "bbox"}


def evaluate_coco(
    truth: Path | Mapping[str, Any],
    results: Sequence[Mapping[str, Any]],
    *,
    resamples: int = 500,
    seed: int = 0,
) -> Metrics:
    """COCO's figures for masks and boxes, overall and by class, with 95 % intervals over photos.

    Args:
        truth: COCO instances (`images`, `annotations`, `categories`), as a file or as read from one.
        results: COCO results: `image_id`, `category_id`, `score`, and `segmentation` (RLE), `bbox` (x y w h) or both.
        resamples: draws of photos for the intervals of `mask_AP`, `mask_AP50` and `box_AP50`; 0 leaves them out.
        seed: of these draws.

    Returns:
        The figures, fractions in 0..1. Without any detection they are 0; where the truth has nothing to judge by they
        are None, and a note says so.

    Raises:
        DataError: the truth is not COCO instances, or a result names a photo or class that the truth does not have.
    """
    tree = _clean_truth(_read(truth) if isinstance(truth, Path) else truth)
    _check_results(tree, results)
    names = {c["id"]: str(c["name"]) for c in sorted(tree["categories"], key=lambda c: int(c["id"]))}
    counted = [a["category_id"] for a in tree["annotations"] if not a["iscrowd"]]
    overall: dict[str, float | None] = {}
    figures: dict[int, dict[str, float | None]] = {class_id: {} for class_id in names}
    intervals: dict[str, Interval] = {}
    notes: list[str] = []
    for kind in _EVALUATORS:
        lacking = _lacks(kind, tree["annotations"], results)
        evaluator = None if lacking else run_evaluator(tree, results, kind)
        notes += [lacking] if lacking else []
        overall |= _overall(kind, evaluator)
        for position, class_id in enumerate(names):
            figures[class_id] |= _of_class(kind, evaluator, position)
        if evaluator is not None and resamples:
            intervals |= _intervals(kind, evaluator, tree, resamples, seed)
    notes += [f"The truth has no {names[c]}, so nothing is said about it." for c in names if c not in counted]
    return Metrics(
        overall=overall,
        classes={names[c]: ClassMetrics(counted.count(c), figures[c]) for c in names},
        photos=len(tree["images"]),
        detections=len(results),
        intervals=intervals,
        notes=tuple(notes),
    )


def _read(path: Path) -> Mapping[str, Any]:
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as COCO annotations ({error})") from error
    if not isinstance(tree, dict):
        raise DataError(f"{path}: COCO annotations are an object with images, annotations and categories")
    return tree


def _clean_truth(truth: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with what the evaluator needs: ids from 1, `iscrowd`, and `area` where it is missing."""
    missing = [key for key in ("images", "annotations", "categories") if not isinstance(truth.get(key), list)]
    if missing:
        raise DataError(f"the truth is not COCO instances: it has no list of {', '.join(missing)}")
    names = [c["name"] for c in truth["categories"]]
    if len(set(names)) != len(names):
        raise DataError(f"two categories of the truth have the same name: {sorted(names)}")
    images = {image["id"]: image for image in truth["images"]}
    annotations = []
    for number, annotation in enumerate(truth["annotations"], start=1):
        if annotation["image_id"] not in images:
            raise DataError(f"annotation {annotation.get('id')} of the truth names photo {annotation['image_id']!r}")
        area = annotation.get("area")
        if area is None:
            area = _area(annotation, images[annotation["image_id"]])
        annotations.append({**annotation, "id": number, "area": area, "iscrowd": int(annotation.get("iscrowd", 0))})
    return {"images": list(images.values()), "annotations": annotations, "categories": list(truth["categories"])}


def _area(annotation: Mapping[str, Any], image: Mapping[str, Any]) -> float:
    if annotation.get("segmentation"):
        return float(mask_area(from_segmentation(annotation["segmentation"], image["height"], image["width"])))
    return float(annotation["bbox"][2] * annotation["bbox"][3])


def _check_results(truth: Mapping[str, Any], results: Iterable[Mapping[str, Any]]) -> None:
    photos = {image["id"] for image in truth["images"]}
    classes = {category["id"] for category in truth["categories"]}
    for row, result in enumerate(results):
        absent = [key for key in ("image_id", "category_id", "score") if key not in result]
        if absent:
            raise DataError(f"result {row} has no {', '.join(absent)}")
        if result["image_id"] not in photos:
            raise DataError(f"result {row} is for photo {result['image_id']!r}, which the truth does not have")
        if result["category_id"] not in classes:
            raise DataError(f"result {row} is of class {result['category_id']!r}, which the truth does not have")


def _lacks(kind: str, truth: Iterable[Mapping[str, Any]], results: Iterable[Mapping[str, Any]]) -> str:
    """A sentence on what cannot be judged for want of masks or boxes, or nothing."""
    key = _FIELDS[kind]
    for owner, rows in (("truth", truth), ("detections", results)):
        if any(not row.get(key) for row in rows):
            return f"Some of the {owner} have no {key}, so {kind} figures are left out."
    return ""


def run_evaluator(truth: Mapping[str, Any], results: Sequence[Mapping[str, Any]], kind: str) -> hotcoco.COCOeval:
    """The library's evaluator on a cleaned truth, matched and accumulated; `kind` is mask or box."""
    kept = ("image_id", "category_id", "score", _FIELDS[kind])
    ground = hotcoco.COCO(dict(truth))
    found = ground.load_res([{key: result[key] for key in kept} for result in results])
    evaluator = hotcoco.COCOeval(ground, found, _EVALUATORS[kind])
    evaluator.evaluate()
    evaluator.accumulate()
    return evaluator


def _arrays(evaluator: hotcoco.COCOeval) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """precision `[T, R, K, A, M]` and recall `[T, K, A, M]`: thresholds, recalls, classes, areas, detections."""
    found = evaluator.eval
    if found is None:
        raise RuntimeError("the evaluator was not run")
    return np.asarray(found["precision"]), np.asarray(found["recall"])


def _mean(values: NDArray[np.float64]) -> float | None:
    """The mean of what was computed; the evaluator writes -1 where there was nothing to judge by."""
    computed = values[values > -1]
    return float(computed.mean()) if computed.size else None


def _overall(kind: str, evaluator: hotcoco.COCOeval | None) -> dict[str, float | None]:
    names = ["AP", "AP50", "AP75", *(f"AP_{area}" for area in _AREAS[1:]), "AR_1", "AR_10", "AR_100"]
    if evaluator is None:
        return {f"{kind}_{name}": None for name in names}
    precision, recall = _arrays(evaluator)
    ap = precision[..., -1]
    values = [_mean(ap[..., 0]), _mean(ap[0, ..., 0]), _mean(ap[5, ..., 0])]
    values += [_mean(ap[..., area]) for area in range(1, len(_AREAS))]
    values += [_mean(recall[:, :, 0, most]) for most in range(3)]
    return {f"{kind}_{name}": value for name, value in zip(names, values, strict=True)}


def _of_class(kind: str, evaluator: hotcoco.COCOeval | None, position: int) -> dict[str, float | None]:
    names = ("AP", "AP50", "AP75", "AR_100")
    if evaluator is None:
        return {f"{kind}_{name}": None for name in names}
    precision, recall = _arrays(evaluator)
    ap = precision[:, :, position, 0, -1]
    values = (_mean(ap), _mean(ap[0]), _mean(ap[5]), _mean(recall[:, position, 0, -1]))
    return {f"{kind}_{name}": value for name, value in zip(names, values, strict=True)}


def _intervals(
    kind: str, evaluator: hotcoco.COCOeval, truth: Mapping[str, Any], resamples: int, seed: int
) -> dict[str, Interval]:
    photos = sorted(image["id"] for image in truth["images"])
    ap, ap50 = bootstrap(class_matches(evaluator, photos), len(photos), resamples=resamples, seed=seed)
    wanted = {"mask": {"mask_AP": ap, "mask_AP50": ap50}, "box": {"box_AP50": ap50}}[kind]
    return {name: interval for name, interval in wanted.items() if interval is not None}


def class_matches(evaluator: hotcoco.COCOeval, photos: Sequence[int]) -> list[ClassMatches]:
    """The evaluator's matches by class, over objects of all sizes; `photos` are the ids in the order of their ranks."""
    place = {photo: position for position, photo in enumerate(photos)}
    thresholds = len(evaluator.params.iou_thrs)
    everything = evaluator.params.area_rng[0]
    rows: dict[int, list[dict[str, Any]]] = {}
    for row in evaluator.eval_imgs:
        if row is not None and row["aRng"] == everything:
            rows.setdefault(row["category_id"], []).append(row)
    matches = []
    for of_class in rows.values():
        of_class.sort(key=lambda row: place[row["image_id"]])
        objects = np.zeros(len(photos), dtype=np.int64)
        for row in of_class:
            objects[place[row["image_id"]]] = len(row["gtIgnore"]) - sum(row["gtIgnore"])
        matches.append(
            ClassMatches(
                photo=np.repeat([place[r["image_id"]] for r in of_class], [len(r["dtScores"]) for r in of_class]),
                scores=np.concatenate([r["dtScores"] for r in of_class]).astype(np.float64),
                hits=_side_by_side([r["dtMatched"] for r in of_class], thresholds),
                ignored=_side_by_side([r["dtIgnore"] for r in of_class], thresholds),
                objects=objects,
            )
        )
    return matches


def _side_by_side(parts: Sequence[Sequence[Sequence[bool]]], thresholds: int) -> NDArray[np.bool_]:
    return np.concatenate([np.asarray(p, dtype=np.bool_).reshape(thresholds, -1) for p in parts], axis=1)
