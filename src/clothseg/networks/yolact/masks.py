"""From prototypes and coefficients to masks. Source: Bolya et al., YOLACT (2019), section 3.3."""

import torch
import torch.nn.functional as F
from torch import Tensor

from clothseg.instances import axis_taps, sample_maps
from clothseg.instances.bilinear import AxisTaps
from clothseg.networks.placement import InputPlacement, Size
from clothseg.networks.transfer import TensorCache


def assemble_masks(prototypes: Tensor, coefficients: Tensor, boxes: Tensor, padded: Size, margin: float) -> Tensor:
    """Probabilities `[D, h, w]`, 0 outside the boxes.

    Args:
        prototypes: `[count, h, w]` of a photo.
        coefficients: `[D, count]`, after their tanh.
        boxes: `[D, 4]` in pixels of the input.
        padded: height and width of the input.
        margin: cells around a box that still belong to it.
    """
    size = (prototypes.shape[1], prototypes.shape[2])
    logits = (coefficients.float() @ prototypes.float().flatten(1)).view(-1, *size)
    return logits.sigmoid() * crop_windows(boxes, padded, size, margin)


def boxes_in_cells(boxes: Tensor, padded: Size, size: Size) -> Tensor:
    """Boxes `[D, 4]` in pixels of an input of `padded`, in cells of a grid of `size` over it; corners in order."""
    scale = [size[1] / padded[1], size[0] / padded[0]]
    corners = torch.stack([boxes[:, 0::2] * scale[0], boxes[:, 1::2] * scale[1]], dim=2)
    return torch.cat([corners.amin(dim=1), corners.amax(dim=1)], dim=1)


def crop_windows(boxes: Tensor, padded: Size, size: Size, margin: float) -> Tensor:
    """Whether a cell of a grid of `size` over the input belongs to a box, with a margin: `[D, h, w]` bool.

    Args:
        boxes: `[D, 4]` in pixels of the input.
        padded: height and width of the input.
        size: of the grid.
        margin: cells around the box. A cell belongs to it if its number is at least the first edge and below the last.
    """
    cells = boxes_in_cells(boxes, padded, size)
    windows = []
    for axis in (1, 0):
        low, high = (cells[:, axis, None] - margin).clamp(min=0), cells[:, axis + 2, None] + margin
        number = torch.arange(size[1 - axis], device=boxes.device)
        windows.append((number >= low) & (number < high))
    rows, columns = windows
    return rows[:, :, None] & columns[:, None, :]


def masks_on_grid(masks: Tensor, placement: InputPlacement, size: Size, cache: TensorCache) -> Tensor:
    """The ground truth on a grid over the input: `[N, h, w]` bool of `size`.

    Args:
        masks: `[N, H, W]` uint8 on the resized photo.
        placement: where the photo lies in the input.
        size: of the grid.
        cache: keeps where the cells lie in the input.
    """
    height, width = placement.padded
    if placement.size != placement.padded:
        below, right = height - placement.top - placement.height, width - placement.left - placement.width
        masks = F.pad(masks, (placement.left, right, placement.top, below))
    device = masks.device

    def taps(cells: int, pixels: int) -> AxisTaps:
        def make() -> tuple[Tensor, Tensor, Tensor]:
            made = axis_taps(cells, pixels, 0.0, 1.0, device)
            return made.before, made.after, made.share

        return AxisTaps(*cache.get((cells, pixels, device), make))

    return sample_maps(masks, taps(size[0], height), taps(size[1], width)) > 0.5
