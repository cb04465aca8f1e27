"""From the heads' outputs for the proposals to detections: photo by photo, or for all photos in fixed shapes."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import remove_small_boxes

from clothseg.config import InferenceSettings
from clothseg.devices import to_float64
from clothseg.instances import clip_to
from clothseg.networks.layers.box_targets import decode_boxes
from clothseg.networks.layers.mask_rescoring import rescored_order
from clothseg.networks.layers.nms import padded_nms, top_by_nms
from clothseg.networks.mask_rcnn.conventions import Conventions
from clothseg.networks.placement import InputPlacement, clip_to_placements, placement_bounds
from clothseg.networks.transfer import to_device

_FIRST = 2000  # candidates of a photo that NMS sees at first


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


@dataclass(frozen=True)
class HeadOutputs:
    """Proposals of all photos in fixed shapes, and what the box head says of them.

    Attributes:
        proposals: `[B, P, 4]` in network coordinates.
        valid: `[B, P]` bool; the other proposals are padding.
        logits: `[B, P, K + 1]`.
        deltas: `[B, P, K + 1, 4]`.
    """

    proposals: Tensor
    valid: Tensor
    logits: Tensor
    deltas: Tensor


@dataclass(frozen=True)
class PaddedDetections:
    """Detections of all photos before their masks are computed, best first, in fixed shapes.

    Attributes:
        boxes: `[B, D, 4]` in network coordinates.
        classes: `[B, D]` int64, 1..K.
        scores: `[B, D]` in 0..1.
        counts: `[B]` int64, the number of detections of each photo; these come first.
        complete: `[B]` bool: whether no other candidate could be a detection.
    """

    boxes: Tensor
    classes: Tensor
    scores: Tensor
    counts: Tensor
    complete: Tensor


def detections_by_photo(
    outputs: HeadOutputs, placements: Sequence[InputPlacement], settings: InferenceSettings, conventions: Conventions
) -> tuple[list[BoxDetections], list[BoxDetections]]:
    """The detections of each photo: on the CPU, and the same on the device of `outputs`.

    A GPU is waited for twice: in NMS, and when all detections are copied to the CPU at once. Only where the best
    candidates of a photo leave fewer detections than `max_detections`, all candidates go through NMS once more.
    """
    found = padded_detections(outputs, placements, settings, conventions, _FIRST)
    numbers = _copy_to_cpu(found)
    if not bool(numbers.complete.all()):
        found = padded_detections(outputs, placements, settings, conventions, outputs.logits[0].numel())
        numbers = _copy_to_cpu(found)
    counts = numbers.counts.tolist()
    on_cpu, on_device = (
        [BoxDetections(*(t[photo, :n] for t in (f.boxes, f.classes, f.scores))) for photo, n in enumerate(counts)]
        for f in (numbers, found)
    )
    return on_cpu, on_device


def _copy_to_cpu(found: PaddedDetections) -> PaddedDetections:
    """The same on the CPU, by one copy."""
    count = found.scores.shape[1]
    fields = (found.boxes.flatten(1), found.classes, found.scores, found.counts[:, None], found.complete[:, None])
    copied = torch.cat([field.to(found.boxes.dtype) for field in fields], dim=1).cpu()
    boxes, classes, scores, counts, complete = torch.split(copied, [4 * count, count, count, 1, 1], dim=1)
    return PaddedDetections(
        boxes.reshape(-1, count, 4), classes.long(), scores.contiguous(), counts[:, 0].long(), complete[:, 0] > 0
    )


def padded_detections(
    outputs: HeadOutputs,
    placements: Sequence[InputPlacement],
    settings: InferenceSettings,
    conventions: Conventions,
    first: int,
) -> PaddedDetections:
    """Detections from the `first` candidates of each photo with the highest scores; see `postprocess_detections`."""
    scores, proposal, classes = _scores(outputs, conventions)
    above = torch.ge if conventions.score_threshold_included else torch.gt
    likely = above(scores, settings.score_threshold) & (classes > 0) & outputs.valid.gather(1, proposal)
    scores, place = torch.where(likely, scores, -1.0).sort(dim=1, descending=True, stable=True)
    scores, place = scores[:, :first], place[:, :first]
    proposal, classes, valid = (t.gather(1, place) for t in (proposal, classes, likely))
    kinds = outputs.logits.shape[2]
    photo = torch.arange(len(proposal), device=proposal.device)[:, None]
    deltas = outputs.deltas.flatten(1, 2)[photo, proposal * kinds + classes]
    references = outputs.proposals[photo, proposal]
    boxes = decode_boxes(
        deltas.flatten(0, 1), references.flatten(0, 1), conventions.box_weights, conventions.box_clip
    ).view_as(deltas)
    boxes = clip_to_placements(boxes, placements, conventions.input, padded=False)
    if conventions.min_side:
        valid = valid & ((boxes[..., 2:] - boxes[..., :2]) >= conventions.min_side).all(dim=-1)
    keep = padded_nms(boxes, scores, classes, valid, settings.nms_iou)
    most, kept = settings.max_detections, keep.sum(dim=1)
    chosen = (~keep).to(torch.uint8).sort(dim=1, stable=True).indices[:, :most]
    return PaddedDetections(
        boxes.gather(1, chosen[..., None].expand(-1, -1, 4)),
        classes.gather(1, chosen),
        scores.gather(1, chosen),
        kept.clamp(max=most),
        (kept >= most) | (likely.sum(dim=1) <= first),
    )


def _scores(outputs: HeadOutputs, conventions: Conventions) -> tuple[Tensor, Tensor, Tensor]:
    """Scores of all candidates `[B, C]`, the proposal of each `[B, C]`, and its class, both int64."""
    scores = outputs.logits.softmax(-1)
    photos, proposals, kinds = scores.shape
    number = torch.arange(proposals, device=scores.device).expand(photos, -1)
    if conventions.single_class:
        best, classes = scores.max(dim=2)
        return best, number, classes
    classes = torch.arange(1, kinds, device=scores.device).repeat(proposals).expand(photos, -1)
    return scores[..., 1:].flatten(1), number[..., None].expand(-1, -1, kinds - 1).flatten(1), classes


def rescore_by_mask(found: BoxDetections, masks: Tensor, settings: InferenceSettings) -> tuple[BoxDetections, Tensor]:
    """Detections by the order of their rescored scores; see `rescored_order`.

    Args:
        found: detections.
        masks: probabilities `[D, M, M]` of each.
        settings: with `score_threshold` and `mask_threshold`.
    """
    scores, order = rescored_order(found.scores, masks, settings)
    chosen = masks[to_device(order, masks.device)]
    return BoxDetections(found.boxes[order], found.classes[order], scores), chosen
