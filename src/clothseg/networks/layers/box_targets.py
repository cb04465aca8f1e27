"""What boxes learn: anchors and proposals are assigned to ground truth, sampled, and given their target deltas.

`decode_boxes` is the way back, from predicted deltas to boxes. Nothing here reads a value back to the processor: shapes
depend on shapes alone, and what does not count is marked.
"""

from collections.abc import Callable, Sequence
from operator import mul, truediv

import torch
from torch import Tensor
from torchvision.ops import box_area, box_iou
from torchvision.ops.boxes import _box_inter_union

from clothseg.networks.transfer import to_device

NEGATIVE, IGNORED = -1, -2


def match_boxes(
    boxes: Tensor, truth: Tensor, ignored: Tensor, *, foreground: float, background: float, keep_best: bool
) -> Tensor:
    """Assigns boxes to ground truth by IoU.

    Args:
        boxes: `[N, 4]`, anchors or proposals.
        truth: `[M, 4]`, ground-truth boxes.
        ignored: `[K, 4]`, boxes of crowds. A negative with half of its area or more in one of them is ignored.
        foreground: IoU from which a box is matched.
        background: IoU below which a box is negative; between the two it is ignored.
        keep_best: whether the boxes with the highest IoU with a ground truth (ties included) are matched in any case.

    Returns:
        `[N]` int64: the index of the ground truth, or NEGATIVE, or IGNORED.
    """
    if len(truth) == 0:
        matches = torch.full((len(boxes),), NEGATIVE, dtype=torch.int64, device=boxes.device)
    else:
        iou = box_iou(truth, boxes)
        best, nearest = iou.max(dim=0)
        matched = best >= foreground
        if keep_best:
            matched |= (iou == iou.amax(dim=1, keepdim=True)).any(dim=0)
        unmatched = NEGATIVE - (best >= background).long() if background < foreground else NEGATIVE  # IGNORED is -2
        matches = torch.where(matched, nearest, unmatched)
    if len(ignored):
        inside, _ = _box_inter_union(boxes, ignored)
        covered = (inside / box_area(boxes)[:, None].clamp(min=1e-6)).amax(dim=1) >= 0.5
        matches.masked_fill_(covered & (matches == NEGATIVE), IGNORED)
    return matches


def draw_keys(counts: Sequence[int], generators: Sequence[torch.Generator], device: torch.device) -> Tensor:
    """A random key in 0..1 for each box of each photo; the boxes with the highest keys are sampled.

    The keys of a photo depend on its generator and its number of boxes, not on the other photos or the device.

    Args:
        counts: of the boxes of each photo.
        generators: one for each photo, on the CPU.
        device: of the answer.

    Returns:
        `[B, N]` float32, N being the largest count; keys beyond a photo's own count are 0.
    """
    if len(counts) == 1:
        return to_device(torch.rand((1, counts[0]), generator=generators[0]), device)
    keys = torch.zeros((len(counts), max(counts)))
    for row, count, generator in zip(keys, counts, generators, strict=True):
        torch.rand(count, generator=generator, out=row[:count])
    return to_device(keys, device)


def sample(matches: Tensor, count: int, positive_fraction: float, keys: Tensor) -> tuple[Tensor, Tensor]:
    """Samples at most `count` boxes of each photo, at most `positive_fraction` of them matched, the rest negative.

    Args:
        matches: `[B, N]`, as `match_boxes` gives them.
        count: number of boxes.
        positive_fraction: largest fraction of them that is matched.
        keys: `[B, N]` in 0..1, random; of two boxes of a kind, the one with the higher key is sampled first.

    Returns:
        positions `[B, S]` int64, matched boxes first, and their matches `[B, S]`, where S is `count` or, if it is less,
        N. Places that no box fills have the match IGNORED, and any position.
    """
    boxes = matches.shape[1]
    most = min(int(count * positive_fraction), boxes)
    # Negative boxes are ranked by their keys, other boxes after them all, and the sampled positive ones before.
    rank = keys.masked_fill(matches != NEGATIVE, -1.0)
    if most:
        key, position = keys.masked_fill(matches < 0, -1.0).topk(most, dim=1)
        rank.scatter_add_(1, position, key * 3 + 3)  # from -1 to 2 or more; nothing for boxes that are not positive
    rank, position = rank.topk(min(count, boxes), dim=1)
    return position, matches.gather(1, position).masked_fill_(rank < 0, IGNORED)


def encode_boxes(boxes: Tensor, references: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Deltas `[N, 4]` (x, y, log width, log height) from `references` `[N, 4]` to `boxes` `[N, 4]`.

    Source: Ren et al., Faster R-CNN (2015), section 3.1.2.
    """
    size = references[:, 2:] - references[:, :2]
    centre = references[:, :2] + 0.5 * size
    new_size = boxes[:, 2:] - boxes[:, :2]
    new_centre = boxes[:, :2] + 0.5 * new_size
    of_centre = _by_axis(mul, (new_centre - centre) / size, weights[:2])
    return torch.cat([of_centre, _by_axis(mul, torch.log(new_size / size), weights[2:])], dim=1)


def decode_boxes(deltas: Tensor, references: Tensor, weights: tuple[float, ...], clip: float) -> Tensor:
    """Boxes `[N, ..., 4]` from deltas `[N, ..., 4]` and their `references` `[N, 4]`; `clip` limits log sizes."""
    references = references.reshape(len(references), *[1] * (deltas.dim() - 2), 4)
    of_centre, of_size = (
        _by_axis(truediv, part, pair)
        for part, pair in ((deltas[..., :2], weights[:2]), (deltas[..., 2:], weights[2:]))
    )  # fmt: skip
    size = references[..., 2:] - references[..., :2]
    centre = of_centre * size + (references[..., :2] + 0.5 * size)
    half = 0.5 * (torch.exp(of_size.clamp(max=clip)) * size)
    return torch.cat([centre - half, centre + half], dim=-1)


def _by_axis(operation: Callable[[Tensor, float], Tensor], values: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Multiplies or divides the columns `[..., 2]` by two numbers, without a tensor of them, which would be copied."""
    if weights[0] == weights[1]:
        return values if weights[0] == 1 else operation(values, weights[0])
    return torch.stack([operation(values[..., axis], weight) for axis, weight in enumerate(weights)], dim=-1)
