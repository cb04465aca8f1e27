"""What boxes learn: anchors and proposals are assigned to ground truth, sampled, and given their target deltas.

`decode_boxes` is the way back, from predicted deltas to boxes. Nothing here reads a value back to the processor: shapes
depend on shapes alone, and what does not count is marked.
"""

from collections.abc import Callable, Sequence
from operator import mul, truediv

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torchvision.ops import box_area, box_iou
from torchvision.ops.boxes import _box_inter_union

from clothseg import cpu_path
from clothseg.networks.transfer import to_device

NEGATIVE, IGNORED = -1, -2
_IOUS_TOGETHER = 4_000_000  # of one call on a GPU, which takes some 100 MB for them


def match_boxes(
    boxes: Tensor,
    truth: Tensor,
    ignored: Tensor,
    padding: Tensor | None = None,
    *,
    foreground: float,
    background: float,
    keep_best: bool,
) -> Tensor:
    """Assigns boxes to ground truth by IoU; of one photo, or of several with a first dimension B more.

    Args:
        boxes: `[N, 4]`, anchors or proposals.
        truth: `[M, 4]`, ground-truth boxes.
        ignored: `[K, 4]`, boxes of crowds. A negative with half of its area or more in one of them is ignored.
        padding: `[M]` bool, which rows of `truth` are none; None if all are.
        foreground: IoU from which a box is matched.
        background: IoU below which a box is negative; between the two it is ignored.
        keep_best: whether the boxes with the highest IoU with a ground truth (ties included) are matched in any case.

    Returns:
        `[N]` int64: the index of the ground truth, or NEGATIVE, or IGNORED.
    """
    if truth.shape[-2] == 0:
        matches = boxes.new_full((*truth.shape[:-2], boxes.shape[-2]), NEGATIVE, dtype=torch.int64)
    else:
        iou = box_iou(truth, boxes)
        highest = iou.amax(dim=-1, keepdim=True) if keep_best else None
        if padding is not None:
            iou = iou.masked_fill(padding[..., None], -1.0)
            highest = None if highest is None else highest.masked_fill(padding[..., None], 2.0)
        best, nearest = iou.max(dim=-2)
        matched = best >= foreground
        if highest is not None:
            matched |= (iou == highest).any(dim=-2)
        unmatched = NEGATIVE - (best >= background).long() if background < foreground else NEGATIVE  # IGNORED is -2
        matches = torch.where(matched, nearest, unmatched)
    if ignored.shape[-2]:
        inside, _ = _box_inter_union(boxes, ignored)
        covered = (inside / box_area(boxes)[..., None].clamp(min=1e-6)).amax(dim=-1) >= 0.5
        matches.masked_fill_(covered & (matches == NEGATIVE), IGNORED)
    return matches


def match_photos(
    match: Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor],
    boxes: Tensor,
    truth: Sequence[Tensor],
    ignored: Sequence[Tensor],
) -> Tensor:
    """What `match` gives for several photos: `[B, N]` int64.

    On a GPU photos are matched together, as many as `photos_together` says.

    Args:
        match: takes boxes, ground truth, crowds and padding as `match_boxes` does.
        boxes: `[N, 4]`, the same for all photos, or `[B, N, 4]`.
        truth: ground-truth boxes `[M, 4]` of each photo.
        ignored: boxes of crowds `[K, 4]` of each photo.
    """
    shared, photos = boxes.dim() == 2, len(truth)
    together = 1 if cpu_path.uses_cpu_path(boxes) else photos_together(boxes.shape[-2], max(map(len, truth)))
    found = []
    for part in (slice(first, first + together) for first in range(0, photos, together)):
        padded, padding = pad_rows(truth[part])
        crowds, _ = pad_rows(ignored[part])
        if len(padded) == 1:
            found.append(match(boxes if shared else boxes[part][0], padded[0], crowds[0], None)[None])
        else:
            found.append(match(boxes if shared else boxes[part], padded, crowds, padding))
    return torch.cat(found) if len(found) > 1 else found[0]


def photos_together(boxes: int, objects: int) -> int:
    """How many photos with so many boxes and objects each a GPU matches together; see `_IOUS_TOGETHER`."""
    return max(_IOUS_TOGETHER // max(boxes * objects, 1), 1)


def pad_rows(parts: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
    """Rows `[N, ...]` of several photos in one tensor `[B, M, ...]`, with zeros after those of a photo with fewer.

    The second answer is `[B, M]` bool: which rows are such zeros. It is None if there are none.
    """
    if len(parts) == 1:
        return parts[0][None], None
    counts = [len(part) for part in parts]
    if min(counts) == max(counts):
        return torch.stack([*parts]), None
    added = torch.arange(max(counts)) >= torch.tensor(counts)[:, None]
    return pad_sequence([*parts], batch_first=True), to_device(added, parts[0].device)


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
