"""Which boxes have a mask. The box list has no BoxID, so place and class must tell."""

from collections import defaultdict
from collections.abc import Iterable

from clothseg.openimages.tables import Box, BoxRow, MaskRow

# The two lists write the same coordinate with different numbers of digits; a thousandth is one pixel of a photo.
TOLERANCE = 1e-3


def boxes_without_mask(boxes: Iterable[BoxRow], masks: Iterable[MaskRow]) -> list[BoxRow]:
    """Those `boxes` that no row of `masks` stands for, in their order. A mask takes the nearest free box, once."""
    free: dict[tuple[str, str], list[BoxRow]] = defaultdict(list)
    boxes = list(boxes)
    for box in boxes:
        free[box.image_id, box.mid].append(box)
    for mask in masks:
        candidates = free[mask.image_id, mask.mid]
        if candidates:
            nearest = min(candidates, key=lambda b, m=mask: _distance(b.box, m.box))  # type: ignore[misc]
            if _distance(nearest.box, mask.box) <= TOLERANCE:
                candidates.remove(nearest)
    left = {id(box) for candidates in free.values() for box in candidates}
    return [box for box in boxes if id(box) in left]


def _distance(one: Box, other: Box) -> float:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))
