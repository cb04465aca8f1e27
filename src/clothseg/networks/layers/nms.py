"""Non-maximum suppression (NMS) by class: without boxes that cannot matter, or for many photos in one call."""

import torch
from torch import Tensor
from torchvision.ops import batched_nms, nms

from clothseg.devices import WITHOUT_FLOAT64

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


def padded_nms(boxes: Tensor, scores: Tensor, groups: Tensor, valid: Tensor | None, iou: float) -> Tensor:
    """NMS of all photos and groups in one call, which a GPU waits for once.

    Boxes are moved apart by group, as in torchvision's `batched_nms`, but in double precision: with many groups the
    offsets would take the last digits of float32.

    Args:
        boxes: `[B, N, 4]`, no coordinate below 0.
        scores: `[B, N]`.
        groups: `[B, N]` or `[1, N]` int64, from 0: only boxes of one photo and one group suppress each other.
        valid: `[B, N]` bool; the other boxes are padding. None if all are valid.
        iou: of NMS.

    Returns:
        `[B, N]` bool: which boxes are kept.
    """
    photos, count = scores.shape
    if boxes.device.type in WITHOUT_FLOAT64:
        valid = torch.ones_like(scores, dtype=torch.bool) if valid is None else valid
        parts = zip(boxes, scores, groups.expand(photos, -1), valid, strict=True)
        return torch.stack([_one_photo(*part, iou) for part in parts])
    number = groups + 1
    if photos > 1:
        number = number + torch.arange(photos, device=boxes.device)[:, None] * number.amax()
    if valid is not None:
        number = torch.where(valid, number, 0)
        unit = torch.arange(4, device=boxes.device) // 2  # one box for all padding, of which one copy survives
        boxes, scores = torch.where(valid[..., None], boxes, unit), torch.where(valid, scores, -1)
    placed = boxes.double()
    placed = placed + number[..., None] * (placed.amax() + 1)
    kept = nms(placed.view(-1, 4), scores.double().view(-1), iou)
    keep = torch.zeros(photos * count, dtype=torch.bool, device=boxes.device)
    keep = keep.index_fill_(0, kept, True).view(photos, count)
    return keep if valid is None else keep & valid


def _one_photo(boxes: Tensor, scores: Tensor, groups: Tensor, valid: Tensor, iou: float) -> Tensor:
    """`[N]` bool: which boxes of one photo are kept."""
    here = torch.where(valid)[0]
    kept = here[batched_nms(boxes[here], scores[here], groups[here], iou)]
    return torch.zeros_like(valid).index_fill_(0, kept, True)
