"""Non-maximum suppression (NMS) by class, without looking at boxes that cannot matter."""

from torch import Tensor
from torchvision.ops import batched_nms

_FIRST = 2000  # more than 1000, from which on batched_nms goes class by class, and so rounds nothing


def top_by_nms(boxes: Tensor, scores: Tensor, classes: Tensor, iou: float, count: int) -> Tensor:
    """Positions of the best `count` detections, best first, that no better one of their class overlaps by `iou`.

    Whether a box is kept depends on better boxes alone. So the best `_FIRST` go first; if they give enough, the others
    are not needed, which may be tens of thousands with a low score threshold.

    Args:
        boxes: `[N, 4]`.
        scores: `[N]`.
        classes: `[N]` int64.
        iou: of NMS.
        count: at most.
    """
    if len(scores) > _FIRST:
        first = scores.sort(descending=True, stable=True).indices[:_FIRST]
        keep = first[batched_nms(boxes[first], scores[first], classes[first], iou)]
        if len(keep) >= count:
            return keep[:count]
    kept: Tensor = batched_nms(boxes, scores, classes, iou)
    return kept[:count]
