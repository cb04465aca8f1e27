"""The kind of error of each wrong detection, photo by photo: the examples behind the counts of `coco.tide_errors`.

At IoU .50 each detection, highest score first, takes the free object of its class that it overlaps most. A detection
that takes no object is an error of one kind, the first that fits:

- `location`: its IoU with an object of its class is .10 to .50;
- `class`: its IoU with an object of another class is .50 or more;
- `duplicate`: its IoU with an object of its class is .50 or more, but another detection took that object;
- `background`: its IoU with every object is .10 or less;
- `both`: its IoU with an object of another class is .10 to .50.

An object that no detection takes is `missed`, unless an error of location or class belongs to it.
Source: Bolya et al., "TIDE", ECCV 2020.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clothseg.evaluation.greedy_match import greedy_match

FOREGROUND_IOU, BACKGROUND_IOU = 0.5, 0.1


@dataclass(frozen=True)
class DetectionError:
    """One error on a photo.

    Attributes:
        kind: class, location, both, duplicate, background or missed.
        detection: position of the wrong detection; None for a missed object.
        object: position of the object that it belongs to; None if there is none.
        iou: IoU of the two; 0 if one of them is None.
    """

    kind: str
    detection: int | None
    object: int | None
    iou: float


def detection_errors(
    iou: NDArray[np.float64],
    found: NDArray[np.int64],
    classes: NDArray[np.int64],
    crowd: NDArray[np.bool_],
) -> list[DetectionError]:
    """The errors on one photo.

    Args:
        iou: `[D, G]` IoU of detections, highest score first, and objects; for a crowd, the share of the detection's
            area that lies on it.
        found: `[D]` classes of the detections.
        classes: `[G]` classes of the objects.
        crowd: `[G]` bool, which objects are crowds; a detection on a crowd of its class is no error.
    """
    same_class = found[:, None] == classes[None, :]
    own, other = same_class & ~crowd, ~same_class & ~crowd
    matched = greedy_match(iou, own, FOREGROUND_IOU)
    on_crowd = ((iou >= FOREGROUND_IOU) & same_class & crowd).any(axis=1)
    explained = np.isin(np.arange(len(classes)), matched)
    errors = []
    for position in np.flatnonzero((matched < 0) & ~on_crowd):
        error = _classify(int(position), iou[position], own[position], other[position])
        if error.kind in ("location", "class") and error.object is not None:
            explained[error.object] = True
        errors.append(error)
    missed = np.flatnonzero(~explained & ~crowd)
    return errors + [DetectionError("missed", None, int(position), 0.0) for position in missed]


def _classify(
    position: int, iou: NDArray[np.float64], own: NDArray[np.bool_], other: NDArray[np.bool_]
) -> DetectionError:
    """The error of a detection that takes no object.

    Args:
        position: of the detection.
        iou: `[G]`, its IoU with each object.
        own: `[G]`, objects of its class.
        other: `[G]`, objects of other classes.
    """
    own_iou, own_object = _best(iou, own)
    other_iou, other_object = _best(iou, other)
    if BACKGROUND_IOU <= own_iou < FOREGROUND_IOU:
        return DetectionError("location", position, own_object, own_iou)
    if other_iou >= FOREGROUND_IOU:
        return DetectionError("class", position, other_object, other_iou)
    if own_iou >= FOREGROUND_IOU:
        return DetectionError("duplicate", position, own_object, own_iou)
    if other_iou <= BACKGROUND_IOU:
        return DetectionError("background", position, None, 0.0)
    return DetectionError("both", position, other_object, other_iou)


def _best(iou: NDArray[np.float64], allowed: NDArray[np.bool_]) -> tuple[float, int | None]:
    """The highest IoU with an allowed object, and the object's position; 0 and None if none is allowed."""
    if not allowed.any():
        return 0.0, None
    place = int(np.where(allowed, iou, -1.0).argmax())
    return float(iou[place]), place
