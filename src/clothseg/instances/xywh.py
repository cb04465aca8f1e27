"""Single boxes as COCO writes them."""

XywhBox = tuple[float, float, float, float]
"""x y width height in pixels."""


def box_iou(one: XywhBox, other: XywhBox) -> float:
    """Intersection over union of two boxes, of which one at least has an area."""
    across = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    down = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    shared = max(across, 0.0) * max(down, 0.0)
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)
