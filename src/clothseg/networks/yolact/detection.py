"""From the head's outputs to detections: three kinds of NMS. Source: Bolya et al., YOLACT (2019), section 3.4."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torchvision.ops import nms

from clothseg.config import InferenceSettings, SelectionSettings


@dataclass(frozen=True)
class Candidates:
    """Anchors of all photos.

    Attributes:
        boxes: `[B, N, 4]` in pixels of the input.
        scores: `[B, N, K]`, without background.
        valid: `[B, N]` bool; the others cannot become detections.
    """

    boxes: Tensor
    scores: Tensor
    valid: Tensor


@dataclass(frozen=True)
class Selected:
    """Detections of all photos, best first, in fixed shapes.

    Attributes:
        boxes: `[B, D, 4]` in pixels of the input.
        classes: `[B, D]` int64, 1..K.
        scores: `[B, D]` in 0..1.
        anchors: `[B, D]` int64, the candidate that each comes from.
        valid: `[B, D]` bool; the valid ones come first, the others are padding.
    """

    boxes: Tensor
    classes: Tensor
    scores: Tensor
    anchors: Tensor
    valid: Tensor


def is_candidate(scores: Tensor, settings: SelectionSettings, inference: InferenceSettings) -> Tensor:
    """Which anchors with scores `[..., N, K]` can become detections: `[..., N]` bool.

    An anchor below the threshold of detections becomes none and suppresses none above it, so it is left out too.
    """
    best = scores.amax(dim=-1)
    return (best > settings.candidate_threshold) & (best >= inference.score_threshold)


def select(candidates: Candidates, settings: SelectionSettings, inference: InferenceSettings) -> Selected:
    """The detections among candidates, by the kind of NMS that `settings` names.

    Only `traditional` looks at values on the way; the others have fixed shapes.
    """
    if settings.nms == "traditional":
        return _greedy(candidates, settings, inference)
    scores = candidates.scores.masked_fill(~candidates.valid[..., None], -1.0)
    if settings.nms == "fast":
        return _fast(candidates.boxes, scores.transpose(1, 2), None, settings, inference)
    best, classes = scores.max(dim=2)
    return _fast(candidates.boxes, best[:, None], classes, settings, inference)


def _fast(
    boxes: Tensor, scores: Tensor, classes: Tensor | None, settings: SelectionSettings, inference: InferenceSettings
) -> Selected:
    """Fast NMS: a box is dropped if any better one of its group overlaps it, be that one dropped itself or not.

    Args:
        boxes: `[B, N, 4]`.
        scores: `[B, G, N]`, in G groups; -1 where the box is no candidate.
        classes: `[B, N]` of the boxes, from 0; None if the groups are the classes.
        settings: how many boxes of a group are compared.
        inference: thresholds and limit.
    """
    groups = scores.shape[1]
    top, place = scores.sort(dim=2, descending=True, stable=True)
    top, place = top[..., : settings.pre_nms_top_n], place[..., : settings.pre_nms_top_n]
    chosen = boxes.gather(1, place.flatten(1)[..., None].expand(-1, -1, 4)).view(*place.shape, 4)
    if place.shape[2]:
        overlap = _pairwise_iou(chosen).triu_(1).amax(dim=2)
        kept = (overlap <= inference.nms_iou) & (top >= inference.score_threshold) & (top >= 0)
    else:
        kept = top > 0
    if classes is None:
        label = torch.arange(groups, device=boxes.device)[:, None].expand_as(place)
    else:
        label = classes[:, None].gather(2, place)
    ranked = top.masked_fill(~kept, -1.0).flatten(1).sort(dim=1, descending=True, stable=True)
    order = ranked.indices[:, : inference.max_detections]
    return Selected(
        chosen.flatten(1, 2).gather(1, order[..., None].expand(-1, -1, 4)),
        label.flatten(1).gather(1, order) + 1,
        ranked.values[:, : inference.max_detections],
        place.flatten(1).gather(1, order),
        kept.flatten(1).gather(1, order),
    )


def _pairwise_iou(boxes: Tensor) -> Tensor:
    """IoU `[..., T, T]` of boxes `[..., T, 4]` with each other."""
    low = torch.maximum(boxes[..., :, None, :2], boxes[..., None, :, :2])
    high = torch.minimum(boxes[..., :, None, 2:], boxes[..., None, :, 2:])
    inside = (high - low).clamp_(min=0).prod(dim=-1)
    area = (boxes[..., 2:] - boxes[..., :2]).prod(dim=-1)
    return inside / (area[..., :, None] + area[..., None, :] - inside)


def _greedy(candidates: Candidates, settings: SelectionSettings, inference: InferenceSettings) -> Selected:
    """NMS class by class; boxes count as one pixel wider and higher, and an overlap at the threshold is too much."""
    photos = []
    below = float(np.nextafter(np.float32(inference.nms_iou), np.float32(-1)))
    least = settings.candidate_threshold
    for box, scores, valid in zip(candidates.boxes, candidates.scores, candidates.valid, strict=True):
        wider = box + box.new_tensor([0, 0, 1, 1])
        kept, classes = [], []
        for label in range(scores.shape[1]):
            here = torch.where(valid & (scores[:, label] > least) & (scores[:, label] >= inference.score_threshold))[0]
            kept.append(here[nms(wider[here], scores[here, label], below)])
            classes.append(torch.full_like(kept[-1], label))
        anchor, number = torch.cat(kept), torch.cat(classes)
        order = scores[anchor, number].argsort(descending=True, stable=True)[: inference.max_detections]
        anchor, number = anchor[order], number[order]
        photos.append((box[anchor], number + 1, scores[anchor, number], anchor))
    counts = torch.tensor([len(photo[0]) for photo in photos])
    valid = torch.arange(int(counts.max())) < counts[:, None]
    padded = [pad_sequence(list(column), batch_first=True) for column in zip(*photos, strict=True)]
    return Selected(padded[0], padded[1], padded[2], padded[3], valid.to(padded[0].device))


def by_photo(found: Selected) -> list[tuple[tuple[Tensor, Tensor, Tensor], Tensor]]:
    """Boxes, classes and scores of each photo on the CPU, by one copy, and its anchors where they are."""
    fields = (found.boxes.flatten(1), found.classes, found.scores, found.valid.sum(dim=1, keepdim=True))
    copied = torch.cat([field.to(found.scores.dtype) for field in fields], dim=1).cpu()
    count = found.scores.shape[1]
    boxes, classes, scores, counts = torch.split(copied, [4 * count, count, count, 1], dim=1)
    answer = []
    for photo, number in enumerate(counts[:, 0].long().tolist()):
        box, label = boxes[photo].reshape(count, 4), classes[photo].long()
        answer.append(((box[:number], label[:number], scores[photo, :number]), found.anchors[photo, :number]))
    return answer
