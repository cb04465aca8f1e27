"""Which mistake each detection is, photo by photo: the examples behind the counts of `coco.tide_errors`.

Source: Bolya et al., "TIDE", ECCV 2020. At IoU .50 each detection, best first, takes the free object of its class that
it overlaps most. What takes none is a mistake of one kind, the first that fits:

- `location`: it overlaps an object of its class by .10 to .50;
- `class`: it overlaps an object of another class by .50 or more;
- `duplicate`: it overlaps an object of its class by .50 or more, and that one is taken;
- `background`: it overlaps nothing by more than .10;
- `both`: it overlaps an object of another class by .10 to .50.

An object that nothing takes is `missed`, unless a mistake of location or class stands for it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RIGHT, NOTHING = 0.5, 0.1


@dataclass(frozen=True)
class DetectionError:
    """One mistake on a photo.

    Attributes:
        kind: class, location, both, duplicate, background or missed.
        detection: its position among the detections; None for a missed object.
        object: position of the object that it is about; None where there is none.
        overlap: IoU of the two; 0 without the one or the other.
    """

    kind: str
    detection: int | None
    object: int | None
    overlap: float


def detection_errors(
    overlap: NDArray[np.float64],
    found: NDArray[np.int64],
    classes: NDArray[np.int64],
    crowd: NDArray[np.bool_],
) -> list[DetectionError]:
    """The mistakes on one photo.

    Args:
        overlap: `[D, G]` IoU of detections, best first, and objects; over the detection's area where it is a crowd.
        found: `[D]` classes of the detections.
        classes: `[G]` classes of the objects.
        crowd: `[G]` which of them are crowds; a detection on one of its class is no mistake.
    """
    same = (found[:, None] == classes[None, :]) & ~crowd
    other = ~same & ~crowd
    taken = _taken(overlap, same)
    mistakes = []
    stood_for = taken >= 0
    for position in np.flatnonzero(~np.isin(np.arange(len(found)), taken)):
        on_crowd = crowd & (classes == found[position])
        if (overlap[position][on_crowd] >= RIGHT).any():
            continue
        mistake = _kind(int(position), overlap[position], same[position], other[position])
        if mistake.kind in ("location", "class") and mistake.object is not None:
            stood_for[mistake.object] = True
        mistakes.append(mistake)
    missed = np.flatnonzero(~stood_for & ~crowd)
    return mistakes + [DetectionError("missed", None, int(position), 0.0) for position in missed]


def _taken(overlap: NDArray[np.float64], same: NDArray[np.bool_]) -> NDArray[np.int64]:
    """`[G]` the detection that takes each object, -1 for none."""
    taken = np.full(overlap.shape[1], -1, dtype=np.int64)
    for position in range(len(overlap)):
        gains = np.where(same[position] & (taken < 0), overlap[position], -1.0)
        if gains.size and gains.max() >= RIGHT:
            taken[gains.argmax()] = position
    return taken


def _kind(
    position: int, overlap: NDArray[np.float64], same: NDArray[np.bool_], other: NDArray[np.bool_]
) -> DetectionError:
    """What a detection is that takes no object; `overlap`, `same` and `other` are its rows."""
    own, own_place = _most(overlap, same)
    strange, strange_place = _most(overlap, other)
    if NOTHING <= own < RIGHT:
        return DetectionError("location", position, own_place, own)
    if strange >= RIGHT:
        return DetectionError("class", position, strange_place, strange)
    if own >= RIGHT:
        return DetectionError("duplicate", position, own_place, own)
    if strange <= NOTHING:
        return DetectionError("background", position, None, 0.0)
    return DetectionError("both", position, strange_place, strange)


def _most(overlap: NDArray[np.float64], allowed: NDArray[np.bool_]) -> tuple[float, int | None]:
    """The largest overlap with an object that is allowed, and its position."""
    if not allowed.any():
        return 0.0, None
    place = int(np.where(allowed, overlap, -1.0).argmax())
    return float(overlap[place]), place
