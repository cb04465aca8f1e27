"""From the heads' outputs for the proposals of one photo to its detections."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import remove_small_boxes

from clothseg.config import InferenceSettings
from clothseg.devices import to_float64
from clothseg.instances import clip_to
from clothseg.networks.input import InputPlacement, placement_bounds
from clothseg.networks.layers.box_coder import decode_boxes
from clothseg.networks.layers.nms import top_by_nms
from clothseg.networks.mask_rcnn.conventions import Conventions


@dataclass(frozen=True)
class BoxDetections:
    """Detections of one photo before their masks are computed, best first.

    Attributes:
        boxes: `[D, 4]` in network coordinates.
        classes: `[D]` int64, 1..K.
        scores: `[D]` in 0..1.
    """

    boxes: Tensor
    classes: Tensor
    scores: Tensor


def postprocess_detections(
    proposals: Tensor,
    logits: Tensor,
    deltas: Tensor,
    placement: InputPlacement,
    settings: InferenceSettings,
    conventions: Conventions,
) -> BoxDetections:
    """Detections from proposals `[P, 4]`, their logits `[P, K + 1]` and box deltas `[P, K + 1, 4]`."""
    boxes = decode_boxes(deltas, proposals, conventions.box_weights, conventions.box_clip)
    boxes = clip_to(boxes, placement_bounds(placement, conventions.input, padded=False))
    scores = logits.softmax(-1)
    classes = torch.arange(scores.shape[1], device=scores.device).expand_as(scores)
    if conventions.single_class:
        best = scores.argmax(dim=1, keepdim=True)
        boxes = boxes.gather(1, best[..., None].expand(-1, -1, 4))[:, 0]
        scores, classes = scores.gather(1, best)[:, 0], best[:, 0]
    else:
        boxes, scores, classes = boxes[:, 1:].reshape(-1, 4), scores[:, 1:].flatten(), classes[:, 1:].flatten()
    above = torch.ge if conventions.score_threshold_included else torch.gt
    kept = torch.where(above(scores, settings.score_threshold) & (classes > 0))[0]
    if conventions.min_side:
        kept = kept[remove_small_boxes(boxes[kept], conventions.min_side)]
    boxes, scores, classes = boxes[kept], scores[kept], classes[kept]
    # Normalised boxes: the offsets that keep classes apart would take the last digits of float32.
    exact = to_float64(boxes) if conventions.input.normalised_boxes else boxes
    keep = top_by_nms(exact, scores.to(exact), classes.to(exact.device), settings.nms_iou, settings.max_detections)
    keep = keep.to(boxes.device)
    return BoxDetections(boxes[keep], classes[keep], scores[keep])


def rescore_by_mask(found: BoxDetections, masks: Tensor, settings: InferenceSettings) -> tuple[BoxDetections, Tensor]:
    """Detections by the order of their scores times the mean probability of their mask's own pixels.

    A mask without a pixel counts 0. Detections below `score_threshold` are dropped. Source of the mean: SOLO (Wang et
    al. 2020), which calls it maskness.

    Args:
        found: detections.
        masks: probabilities `[D, M, M]` of each.
        settings: with `score_threshold` and `mask_threshold`.
    """
    own = masks >= settings.mask_threshold
    maskness = (masks * own).sum((1, 2)) / own.sum((1, 2)).clamp(min=1)
    scores = found.scores * maskness
    order = scores.argsort(descending=True, stable=True)
    order = order[scores[order] >= settings.score_threshold]
    return BoxDetections(found.boxes[order], found.classes[order], scores[order]), masks[order]
