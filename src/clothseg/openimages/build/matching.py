"""Which box belongs to which mask. The box list has no BoxID, so place and class must tell."""

from collections import defaultdict
from collections.abc import Sequence

from clothseg.openimages.tables import Box, BoxRow, MaskRow

# The two lists write the same coordinate with different numbers of digits; a thousandth is one pixel of a photo.
TOLERANCE = 1e-3


def match_boxes(boxes: Sequence[BoxRow], masks: Sequence[MaskRow]) -> tuple[list[BoxRow | None], list[BoxRow]]:
    """Give each mask of a photo the nearest free box of its class, if it is near enough.

    Args:
        boxes: of one photo.
        masks: of the same photo.

    Returns:
        the box of each mask, or None; and the boxes that are left, in their order: those without a mask.
    """
    free: dict[str, list[BoxRow]] = defaultdict(list)
    for box in boxes:
        free[box.mid].append(box)
    found: list[BoxRow | None] = []
    for mask in masks:
        candidates = free[mask.mid]
        nearest = min(candidates, key=lambda b, m=mask: _distance(b.box, m.box), default=None)  # type: ignore[misc]
        if nearest is not None and _distance(nearest.box, mask.box) <= TOLERANCE:
            candidates.remove(nearest)
            found.append(nearest)
        else:
            found.append(None)
    left = {id(box) for candidates in free.values() for box in candidates}
    return found, [box for box in boxes if id(box) in left]


def _distance(one: Box, other: Box) -> float:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))
