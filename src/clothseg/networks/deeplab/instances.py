"""From a class for each pixel to instances: connected parts, or pixels that point to the same center.

Source of the second: Cheng et al., Panoptic-DeepLab (2020), section 3.4, and detectron2's post-processing.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from clothseg import cpu_path
from clothseg.config import CenterSettings
from clothseg.instances.connected import connected_parts

_CHUNK = 4  # centers whose distances to all pixels are in memory together
FAR = 1e6
"""The place of a center that does not exist: farther than any pixel from any other."""


@dataclass(frozen=True)
class Groups:
    """The instances on one photo, in any order. A row without pixels has area 0.

    Attributes:
        ids: `[h, w]` int64, the row of each pixel's instance plus 1; 0 where none is.
        classes: `[N]` int64.
        scores: `[N]` in 0..1.
        areas: `[N]` int64, in pixels.
        boxes: `[N, 4]` float, x1 y1 x2 y2, around the pixels.
    """

    ids: Tensor
    classes: Tensor
    scores: Tensor
    areas: Tensor
    boxes: Tensor


@dataclass(frozen=True)
class FoundCenters:
    """Centers on one photo, in the order of rows.

    Attributes:
        points: `[N, 2]` int64, y and x.
        valid: `[N]` bool; on a GPU there are always as many rows, and those that are not valid come last.
    """

    points: Tensor
    valid: Tensor


def group_by_connection(labels: Tensor, probabilities: Tensor, connectivity: int) -> Groups:
    """Connected parts of a class. Objects of one class that touch are one instance.

    Args:
        labels: `[h, w]` int64 on the CPU, the class of each pixel; 0 is background.
        probabilities: `[h, w]` on the CPU, of that class. A part's score is their mean.
        connectivity: 4 or 8.
    """
    parts, rows = connected_parts(labels.numpy().astype(np.int16), connectivity)
    sums = np.bincount(parts.ravel(), probabilities.double().numpy().ravel(), len(rows) + 1)[1:]
    label, x, y, width, height, area = (torch.from_numpy(column.astype(np.int64)) for column in rows.T)
    boxes = torch.stack([x, y, x + width, y + height], 1).float()
    scores = (torch.from_numpy(sums) / area.clamp(min=1)).float()
    return Groups(torch.from_numpy(parts).long(), label, scores, area, boxes)


def find_centers(heat: Tensor, settings: CenterSettings) -> FoundCenters:
    """The peaks of a heat map `[h, w]`, in the order of rows.

    A peak is above the threshold and the highest in its window; equal ones nearby are all peaks. With `top_k` peaks or
    more, only those higher than the last of the `top_k` highest stay.
    """
    kernel, margin = settings.nms_kernel, settings.nms_kernel // 2
    kept = F.threshold(heat, settings.threshold, -1.0)
    of_rows = F.max_pool2d(kept[None], (1, kernel), 1, (0, margin))
    highest = F.max_pool2d(of_rows, (kernel, 1), 1, (margin, 0))[0]
    flat = torch.where(kept == highest, kept, -1.0).flatten()
    values, places = flat.topk(min(settings.top_k, flat.numel()))
    valid = values > values[-1].clamp(min=0)
    places = torch.where(valid, places, flat.numel()).sort().values
    if cpu_path.uses_cpu_path(heat):
        places = places[: int(valid.sum())]
    width = heat.shape[1]
    points = torch.stack([places.div(width, rounding_mode="floor"), places % width], 1)
    return FoundCenters(points, places < flat.numel())


def nearest_centers(centers: FoundCenters, offsets: Tensor) -> Tensor:
    """The center nearest to where the offset of each pixel points: `[h, w]` int64, its row plus 1; 0 without any.

    Of equally near ones it is the first.

    Args:
        centers: of the photo.
        offsets: `[2, h, w]`, y and x, in pixels.
    """
    height, width = offsets.shape[1:]
    y, x = (torch.arange(side, device=offsets.device, dtype=torch.float32) for side in (height, width))
    target_y, target_x = offsets[0] + y[:, None], offsets[1] + x
    best = torch.full((height, width), torch.inf, device=offsets.device)
    nearest = torch.zeros((height, width), dtype=torch.int64, device=offsets.device)
    points = torch.where(centers.valid[:, None], centers.points.float(), FAR)
    for first in range(0, len(points), _CHUNK):
        rows = points[first : first + _CHUNK, :, None, None]
        distances = ((rows[:, 0] - target_y).square() + (rows[:, 1] - target_x).square()).sqrt()
        closest, row = distances.min(0)  # the first of equal ones
        nearer = closest < best
        nearest = torch.where(nearer, row + (first + 1), nearest)
        best = torch.where(nearer, closest, best)
    return torch.where(best < FAR / 2, nearest, 0)


def group_by_centers(
    logits: Tensor, heat: Tensor, offsets: Tensor, things: Tensor, settings: CenterSettings
) -> tuple[Groups, FoundCenters]:
    """Instances whose pixels point to the same center.

    An instance has the class that most of its pixels have. Its score is the mean probability of that class on its mask
    times the heat map at the middle of the mask. Pixels of one instance need not be connected.

    Args:
        logits: `[K, h, w]`, of each class.
        heat: `[h, w]`, of centers.
        offsets: `[2, h, w]`, y and x, in pixels.
        things: `[K]` bool, the classes that have instances.
        settings: of peaks.
    """
    labels = logits.max(0).indices  # several times as fast as `argmax` on a CPU
    centers = find_centers(heat, settings)
    ids = torch.where(things[labels], nearest_centers(centers, offsets), 0)
    count, (height, width) = len(centers.points), heat.shape
    flat = ids.flatten()
    votes = torch.zeros((count + 1) * len(logits), dtype=torch.int64, device=flat.device)
    votes.scatter_add_(0, flat * len(logits) + labels.flatten(), torch.ones_like(flat))
    by_class = votes.view(count + 1, len(logits))
    classes, areas = by_class.argmax(1), by_class.sum(1)
    own = logits.gather(0, classes[ids][None])[0] - logits.logsumexp(0)
    y, x = torch.arange(height, device=flat.device), torch.arange(width, device=flat.device)
    positions = torch.stack([y[:, None].expand(height, width), x.expand(height, width)]).flatten(1)
    index = flat.expand(2, -1)
    sums = torch.zeros((2, count + 1), dtype=torch.int64, device=flat.device).scatter_add_(1, index, positions)
    middle = sums.div(areas.clamp(min=1), rounding_mode="floor")
    means = _means(own.exp(), flat, areas)
    scores = (means * heat[middle[0], middle[1]]).clamp(0, 1)
    low = torch.full_like(sums, max(height, width)).scatter_reduce_(1, index, positions, "amin")
    high = torch.zeros_like(sums).scatter_reduce_(1, index, positions + 1, "amax")
    boxes = torch.stack([low[1], low[0], high[1], high[0]], 1).float()
    return Groups(ids, classes[1:], scores[1:], areas[1:], boxes[1:]), centers


def _means(values: Tensor, flat: Tensor, areas: Tensor) -> Tensor:
    """The mean of `values` in 0..1 over the pixels of each row; steps of 2^-30, so the order does not matter."""
    steps = (values.float() * 2**30).long().flatten()
    sums = torch.zeros_like(areas).scatter_add_(0, flat, steps)
    return sums.float() / (areas.clamp(min=1).float() * 2**30)
