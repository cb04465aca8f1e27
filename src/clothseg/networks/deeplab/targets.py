"""What DeepLab learns from: a class for each pixel of the input, and the centers of objects.

Source: Cheng et al., Panoptic-DeepLab (2020), section 3.3.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from clothseg.devices import to_float64
from clothseg.networks.placement import InputPlacement
from clothseg.networks.target import Target, touched_cells

IGNORED = 255
"""The class of a pixel that no loss learns from."""


@dataclass(frozen=True)
class Segments:
    """The input cut into segments: stuff such as the background, and one for each object.

    Attributes:
        ids: `[H, W]` int64, the segment 0..S - 1 of each pixel; -1 where nothing is known.
        classes: `[S]` int64.
        things: `[S]` bool, whether it is an object, not stuff.
        crowds: `[S]` bool, whether it is a region of many or unclear objects.
    """

    ids: Tensor
    classes: Tensor
    things: Tensor
    crowds: Tensor

    def look_up(self, values: Tensor, unknown: float) -> Tensor:
        """`values` `[S]` of each pixel's segment, `[H, W]`; `unknown` where nothing is known."""
        return torch.cat([values, values.new_full((1,), unknown)])[self.ids]


@dataclass(frozen=True)
class CenterTarget:
    """What the instance head learns from.

    Attributes:
        heat: `[H, W]`, Gaussians at the centers of objects.
        offsets: `[2, H, W]`, from each pixel of an object to its center, y and x.
        center_weight, offset_weight: `[H, W]`, 1 where the losses count.
    """

    heat: Tensor
    offsets: Tensor
    center_weight: Tensor
    offset_weight: Tensor


def make_segments(target: Target, placement: InputPlacement) -> Segments:
    """The segments of one photo on the padded input: background, then its instances.

    Where masks overlap, the smallest is on top. Unknown are, where no instance has them, the pixels of crowds (COCO's
    `iscrowd`, Open Images' groups) and those that the box of an object without a mask touches; and the padding.

    Args:
        target: the ground truth of the photo.
        placement: where it lies in the input.
    """
    masks, device = target.masks, target.masks.device
    ids = torch.zeros(placement.size, dtype=torch.int64, device=device)
    if target.ignored_pixels is not None:
        ids -= target.ignored_pixels
    if not target.all_have_masks:
        ids = torch.where(_touched(target.boxes[len(masks) :], placement), -1, ids)
    order = masks.flatten(1).sum(1, dtype=torch.int64).argsort(descending=True, stable=True)
    for number in order:  # a tensor, so that no value is read
        ids = torch.where(masks[number[None]][0] > 0, number + 1, ids)
    canvas = torch.full(placement.padded, -1, dtype=torch.int64, device=device)
    top, left = placement.top, placement.left
    canvas[top : top + placement.height, left : left + placement.width] = ids
    things = torch.ones(len(masks) + 1, dtype=torch.bool, device=device)
    things[0] = False
    classes = torch.cat([target.classes.new_zeros(1), target.classes[: len(masks)]])
    return Segments(canvas, classes, things, torch.zeros_like(things))


def _touched(boxes: Tensor, placement: InputPlacement) -> Tensor:
    """The pixels of the resized photo that any of `boxes` `[K, 4]`, in pixels of the input, touches: `[h, w]` bool."""
    rows, columns = touched_cells(boxes, placement.size, (placement.top, placement.left))
    return rows.float().T @ columns.float() > 0


def semantic_target(segments: Segments, *, ignore_crowds: bool = True) -> Tensor:
    """The class of each pixel, `[H, W]` int64, or IGNORED."""
    classes = segments.classes
    if ignore_crowds:
        classes = classes.masked_fill(segments.crowds, IGNORED)
    return segments.look_up(classes, IGNORED)


def small_object_weights(segments: Segments, area: int, weight: float) -> Tensor:
    """`weight` on objects with fewer than `area` pixels, 1 elsewhere, `[H, W]`."""
    small = segments.things & (_sums(segments, torch.ones_like(segments.ids)) < area)
    return segments.look_up(torch.where(small, weight, 1.0), 1.0)


def center_target(segments: Segments, sigma: float) -> CenterTarget:
    """Heat map, offsets and weights of the objects.

    The center of an object is the mean of its pixels' positions. The heat map has the highest of the Gaussians at the
    centers, rounded to whole pixels (half to even) and cut at 3 `sigma` + 1. Stuff counts for the heat map only, crowds
    for neither.
    """
    height, width = segments.ids.shape
    device = segments.ids.device
    y = torch.arange(height, device=device)[:, None].expand(height, width)
    x = torch.arange(width, device=device).expand(height, width)
    area = _sums(segments, torch.ones_like(segments.ids))
    sums = torch.stack([_sums(segments, y), _sums(segments, x)])
    centers = to_float64(sums) / to_float64(area.clamp(min=1))
    present = segments.things & (area > 0)
    heat = _heat(centers.round().long().to(device), present, (height, width), sigma)
    exact = torch.cat([centers, centers.new_zeros((2, 1))], 1)[:, segments.ids.to(centers.device)]
    offsets = (exact - torch.stack([y, x]).to(exact.device)).float().to(device)
    offsets = offsets * segments.look_up(segments.things, False)
    known = segments.look_up(~segments.crowds, False)
    of_things = segments.look_up(segments.things & ~segments.crowds, False)
    return CenterTarget(heat, offsets, known.float(), of_things.float())


def _sums(segments: Segments, values: Tensor) -> Tensor:
    """The sum of whole numbers `[H, W]` over each segment, `[S]`."""
    count = len(segments.classes)
    sums = torch.zeros(count + 1, dtype=torch.int64, device=values.device)
    row = torch.where(segments.ids < 0, count, segments.ids)
    return sums.scatter_add_(0, row.flatten(), values.flatten())[:count]


def _heat(centers: Tensor, present: Tensor, size: tuple[int, int], sigma: float) -> Tensor:
    """The highest Gaussian at each pixel, `[H, W]`, from whole `centers` `[2, S]` of those that are `present`."""
    (height, width), reach = size, int(3 * sigma + 1)
    steps = torch.arange(-reach, reach + 1, device=centers.device)
    gaussian = torch.exp(-(steps[:, None] ** 2 + steps**2).float() / (2 * sigma**2))
    rows, columns = (of_axis[:, None] + steps for of_axis in centers)  # [S, window]
    inside_rows, inside_columns = (rows >= 0) & (rows < height), (columns >= 0) & (columns < width)
    counts = (inside_rows & present[:, None])[:, :, None] & inside_columns[:, None]
    place = rows.clamp(0, height - 1)[:, :, None] * width + columns.clamp(0, width - 1)[:, None]
    heat = torch.zeros(height * width, device=centers.device)
    return heat.scatter_reduce_(0, place.flatten(), (gaussian * counts).flatten(), "amax").view(height, width)
