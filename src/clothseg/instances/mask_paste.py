"""Pastes a network's small mask into the photo's pixels, as one of three implementations does.

Only the pixels of the mask's box are computed.
"""

import math
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from clothseg.instances.rle import BoolMask

PasteRule = Literal["torchvision", "detectron2", "matterport"]


def paste(
    probability: Tensor, box: Tensor, size: tuple[int, int], threshold: float, rule: PasteRule = "torchvision"
) -> tuple[slice, slice, BoolMask]:
    """Converts one small map of probabilities to pixels.

    Args:
        probability: `[M, M]` float in 0..1.
        box: `[4]` float, x1 y1 x2 y2 in pixels.
        size: height and width of the image.
        threshold: probability from which a pixel belongs to the object.
        rule: `torchvision` adds a cell of zeros around the map, rounds the box to whole pixels, interpolates, and keeps
            values above the threshold. `detectron2` samples the map at pixel centres and keeps values at or above the
            threshold. `matterport` rounds the box to whole pixels, resizes the map to it with zeros around, and keeps
            values at or above the threshold.

    Returns:
        The rows and columns of the image that were computed, and the bool mask of these.
    """
    functions = {"torchvision": _torchvision, "detectron2": _detectron2, "matterport": _matterport}
    return functions[rule](probability, box, size, threshold)


def _torchvision(
    probability: Tensor, box: Tensor, size: tuple[int, int], threshold: float
) -> tuple[slice, slice, BoolMask]:
    cells = probability.shape[-1]
    padded = F.pad(probability[None, None], (1, 1, 1, 1))
    grown = (cells + 2) / cells
    half_width, half_height = (box[2] - box[0]) * 0.5 * grown, (box[3] - box[1]) * 0.5 * grown
    centre_x, centre_y = (box[2] + box[0]) * 0.5, (box[3] + box[1]) * 0.5
    x1, x2 = int(centre_x - half_width), int(centre_x + half_width)
    y1, y2 = int(centre_y - half_height), int(centre_y + half_height)
    height, width = max(y2 - y1 + 1, 1), max(x2 - x1 + 1, 1)
    soft = F.interpolate(padded, size=(height, width), mode="bilinear", align_corners=False)[0, 0]
    top, left = max(y1, 0), max(x1, 0)
    bottom, right = max(min(y2 + 1, size[0]), top), max(min(x2 + 1, size[1]), left)
    crop = soft[top - y1 : bottom - y1, left - x1 : right - x1] > threshold
    return slice(top, bottom), slice(left, right), crop.cpu().numpy()


def _detectron2(
    probability: Tensor, box: Tensor, size: tuple[int, int], threshold: float
) -> tuple[slice, slice, BoolMask]:
    x1, y1, x2, y2 = box.tolist()
    left, top = max(math.floor(x1), 0), max(math.floor(y1), 0)
    right, bottom = max(min(math.ceil(x2), size[1]), left), max(min(math.ceil(y2), size[0]), top)
    if right == left or bottom == top:
        return slice(top, bottom), slice(left, right), np.zeros((bottom - top, right - left), dtype=np.bool_)
    y = (torch.arange(top, bottom, device=box.device) + 0.5 - box[1]) / (box[3] - box[1]) * 2 - 1
    x = (torch.arange(left, right, device=box.device) + 0.5 - box[0]) / (box[2] - box[0]) * 2 - 1
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    grid = torch.stack([columns, rows], dim=-1)[None].to(probability)
    soft = F.grid_sample(probability[None, None], grid, align_corners=False)[0, 0]
    return slice(top, bottom), slice(left, right), (soft >= threshold).cpu().numpy()


def _matterport(
    probability: Tensor, box: Tensor, size: tuple[int, int], threshold: float
) -> tuple[slice, slice, BoolMask]:
    x1, y1, x2, y2 = (int(side) for side in box.round().tolist())
    height, width = max(y2 - y1, 0), max(x2 - x1, 0)
    top, left = max(y1, 0), max(x1, 0)
    bottom, right = max(min(y2, size[0]), top), max(min(x2, size[1]), left)
    if not height or not width:
        return slice(top, top), slice(left, left), np.zeros((0, 0), dtype=np.bool_)
    soft = resize_zero_padded(probability.cpu().double().numpy()[:, :, None], (height, width))[:, :, 0]
    crop = soft[top - y1 : bottom - y1, left - x1 : right - x1] >= threshold
    return slice(top, bottom), slice(left, right), crop


def resize_zero_padded(values: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """Resizes `[H, W, C]` to `size` (height, width): bilinear, half-pixel centres, 0 outside the edges.

    The four products are added in the order of SciPy's `zoom`. So a later conversion to integers rounds in the same
    direction.
    """
    (top, above, upper, lower), (left, before, nearer, farther) = (
        _taps(old, new) for old, new in zip(values.shape[:2], size, strict=True)
    )
    answer = np.zeros((*size, values.shape[2]))
    for rows, row_weights in ((top, upper), (above, lower)):
        for columns, column_weights in ((left, nearer), (before, farther)):
            part = values[rows][:, columns] * row_weights[:, None, None]
            answer += part * column_weights[None, :, None]
    return answer


def _taps(old: int, new: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """For each new position, the two old ones beside it and their weights. One outside the edge has weight 0."""
    position = (np.arange(new) + 0.5) * (old / new) - 0.5
    first = np.floor(position).astype(np.intp)
    after = position - first
    near = np.where((first >= 0) & (first < old), 1.0 - after, 0.0)
    far = np.where((first + 1 >= 0) & (first + 1 < old), after, 0.0)
    return first.clip(0, old - 1), (first + 1).clip(0, old - 1), near, far
