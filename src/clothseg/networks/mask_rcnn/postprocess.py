"""From the heads' answers on the proposals of one photo to its detections."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import batched_nms, remove_small_boxes

from clothseg.config import Detect
from clothseg.networks.input import Window, cut, limits
from clothseg.networks.layers.box_coder import decode_boxes
from clothseg.networks.mask_rcnn.conventions import Conventions

_FIRST = 2000  # more than 1000, from where on batched_nms goes class by class, and so rounds nothing


@dataclass(frozen=True)
class Found:
    """Detections of one photo, best first.

    Attributes:
        boxes: `[D, 4]` in the network's own coordinates.
        classes: `[D]` int64, 1..K.
        scores: `[D]` in 0..1.
    """

    boxes: Tensor
    classes: Tensor
    scores: Tensor


def with_mask_scores(found: Found, masks: Tensor, settings: Detect) -> tuple[Found, Tensor]:
    """Detections in the order of their scores times the mean probability of their mask's own pixels.

    That mean is how sure SOLO (Wang et al. 2020) is of a mask. A mask without a pixel counts 0, and what falls below
    `min_confidence` is left out.

    Args:
        found: detections.
        masks: probabilities `[D, M, M]` of each.
        settings: with `min_confidence` and `mask_threshold`.
    """
    own = masks >= settings.mask_threshold
    sureness = (masks * own).sum((1, 2)) / own.sum((1, 2)).clamp(min=1)
    scores = found.scores * sureness
    order = scores.argsort(descending=True, stable=True)
    order = order[scores[order] >= settings.min_confidence]
    return Found(found.boxes[order], found.classes[order], scores[order]), masks[order]


def choose_detections(
    proposals: Tensor, logits: Tensor, codes: Tensor, window: Window, settings: Detect, conventions: Conventions
) -> Found:
    """Detections from proposals `[P, 4]`, their logits `[P, K + 1]` and codes `[P, K + 1, 4]`."""
    boxes = decode_boxes(codes, proposals, conventions.box_weights, conventions.box_clip)
    boxes, scores = cut(boxes, limits(window, conventions, padded=False)), logits.softmax(-1)
    classes = torch.arange(scores.shape[1], device=scores.device).expand_as(scores)
    if conventions.single_class:
        best = scores.argmax(dim=1, keepdim=True)
        boxes = boxes.gather(1, best[..., None].expand(-1, -1, 4))[:, 0]
        scores, classes = scores.gather(1, best)[:, 0], best[:, 0]
    else:
        boxes, scores, classes = boxes[:, 1:].reshape(-1, 4), scores[:, 1:].flatten(), classes[:, 1:].flatten()
    above = torch.ge if conventions.confidence_included else torch.gt
    sure = torch.where(above(scores, settings.min_confidence) & (classes > 0))[0]
    if conventions.min_side:
        sure = sure[remove_small_boxes(boxes[sure], conventions.min_side)]
    boxes, scores, classes = boxes[sure], scores[sure], classes[sure]
    # With normalised boxes the offsets that keep classes apart would eat the last digits of float32.
    exact = boxes.double() if conventions.normalised_boxes else boxes
    keep = _best_apart(exact, scores.to(exact.dtype), classes, settings)
    return Found(boxes[keep], classes[keep], scores[keep])


def _best_apart(boxes: Tensor, scores: Tensor, classes: Tensor, settings: Detect) -> Tensor:
    """Positions of the best detections, best first, that no better one of their class overlaps too much.

    Whether a box is kept hangs on better ones alone. So the best `_FIRST` are looked at first, and where enough of
    them are kept the others, tens of thousands with a low `min_confidence`, need not be.
    """
    if len(scores) > _FIRST:
        first = scores.sort(descending=True, stable=True).indices[:_FIRST]
        keep = first[batched_nms(boxes[first], scores[first], classes[first], settings.nms_iou)]
        if len(keep) >= settings.max_detections:
            return keep[: settings.max_detections]
    kept: Tensor = batched_nms(boxes, scores, classes, settings.nms_iou)
    return kept[: settings.max_detections]
