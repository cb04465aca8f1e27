"""Which box belongs to which mask. The box list has no BoxID, so place and class decide."""

from collections import defaultdict
from collections.abc import Sequence

from clothseg.openimages.tables import Box, BoxRow, MaskRow

# The two lists write the same coordinate with different numbers of digits; a thousandth is one pixel of a photo.
TOLERANCE = 1e-3


def match_boxes(boxes: Sequence[BoxRow], masks: Sequence[MaskRow]) -> tuple[list[BoxRow | None], list[BoxRow]]:
    """Gives each mask of a photo the nearest free box of its class, if no side differs by more than `TOLERANCE`.

    Args:
        boxes: of one photo.
        masks: of the same photo.

    Returns:
        The box of each mask, or None; and the remaining boxes in their order, which are those without a mask.
    """
    free: dict[str, list[BoxRow]] = defaultdict(list)
    for box in boxes:
        free[box.mid].append(box)
    matched: list[BoxRow | None] = []
    for mask in masks:
        candidates = free[mask.mid]
        nearest = min(candidates, key=lambda b, m=mask: _distance(b.box, m.box), default=None)  # type: ignore[misc]
        if nearest is not None and _distance(nearest.box, mask.box) <= TOLERANCE:
            candidates.remove(nearest)
            matched.append(nearest)
        else:
            matched.append(None)
    remaining = {id(box) for candidates in free.values() for box in candidates}
    return matched, [box for box in boxes if id(box) in remaining]


def _distance(one: Box, other: Box) -> float:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))
