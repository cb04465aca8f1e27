"""Random changes to a photo and its instances together.

First geometry, then light (`changes.py`); copy-paste is a step of its own. Boxes are computed from the masks, so that
the two never disagree. An object without a mask has only its box, which is moved, cut at the photo's edges, and
covered; see `Geometry.boxes` and `paste_instances`.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from clothseg.config import AugmentSettings
from clothseg.dataset.augment.changes import change_light, draw_geometry
from clothseg.instances import CropMasks, Instances, clip_boxes, each_mask
from clothseg.instances.rle import BoolMask

MIN_VISIBLE = 0.2
"""An object of which a smaller part than this is still visible after copy-paste is left out. Of an object without a
mask, the same holds for its box, also where the photo's edge cuts it."""


def augment(
    image: Tensor, instances: Instances, settings: AugmentSettings, generator: torch.Generator
) -> tuple[Tensor, Instances]:
    """One random change of a photo, as far as `settings` allow each kind.

    Args:
        image: `[3, H, W]` uint8.
        instances: its ground truth.
        settings: how far each change may go, and how often.
        generator: draws the change.

    Returns:
        the changed photo of the same size, and its instances: boxes tight around the masks, emptied ones left out.
        Objects without a mask have their moved box.
    """
    geometry = draw_geometry(settings, instances.size, generator)
    masks = CropMasks.cut(_each(instances, geometry.mask), instances.size)
    boxes = cut_boxes(geometry.boxes(instances.boxes, instances.size), instances.size)
    image = change_light(geometry.image(image), settings, generator)
    return image, _with_masks(instances, masks, boxes)


def paste_instances(
    image: Tensor, instances: Instances, other: Tensor, others: Instances, generator: torch.Generator
) -> tuple[Tensor, Instances]:
    """Copy-paste: puts random objects of `other` `[3, h, w]` onto `image` `[3, H, W]`, in front; both are uint8.

    The other photo is scaled to fit into the first one and laid over it at a random place; not if only a line of pixels
    is left of it. Crowds and objects without a mask are not pasted; objects behind lose the pixels that are covered,
    and are left out where little of them stays visible. The box of an object without a mask shrinks to its pixels that
    are not covered.

    Source: Ghiasi et al., Simple Copy-Paste is a Strong Data Augmentation Method for Instance Segmentation (2021).

    Returns:
        the new photo of the size of `image`, and its instances.
    """
    chosen = ~others.crowd & others.has_mask & (torch.rand(len(others), generator=generator) < 0.5)
    height, width = instances.size
    scale = min(height / others.size[0], width / others.size[1])
    size = int(others.size[0] * scale), int(others.size[1] * scale)
    if not chosen.any() or min(size) < 2:
        return image, instances
    margins = height - size[0], width - size[1]
    top, left = (int(torch.randint(margin + 1, (), generator=generator)) for margin in margins)
    inside = (slice(top, top + size[0]), slice(left, left + size[1]))
    front = CropMasks.cut((_place(mask, size, inside, instances.size) for mask in each_mask(others[chosen].masks)),
                          instances.size)  # fmt: skip
    covered = front.union()
    layer = image.clone()
    layer[:, *inside] = F.interpolate(other[None], size=size, mode="bilinear", antialias=True)[0]
    behind = CropMasks.cut(_each(instances, lambda mask: _visible(mask, covered)), instances.size)
    boxes = torch.cat([instances.boxes[:0], *(uncovered_box(box, covered)[None] for box in instances.boxes)])
    below = _with_masks(instances, behind, boxes)
    above = _with_masks(replace(others[chosen], size=instances.size), front, front.boxes())
    return torch.where(torch.from_numpy(covered), layer, image), _joined(below, above)


def _place(mask: BoolMask, size: tuple[int, int], inside: tuple[slice, slice], photo: tuple[int, int]) -> BoolMask:
    """A mask of the other photo, scaled to `size` and put at its place on an empty photo."""
    whole: BoolMask = np.zeros(photo, dtype=np.bool_)
    whole[inside] = F.interpolate(torch.from_numpy(mask.view(np.uint8))[None, None], size=size)[0, 0].numpy()
    return whole


def _each(instances: Instances, change: Callable[[BoolMask], BoolMask]) -> Iterator[BoolMask]:
    """Each mask after a change; an empty one for an object without a mask."""
    nothing: BoolMask = np.zeros((1, 1), dtype=np.bool_)
    for position, known in enumerate(instances.has_mask.tolist()):
        one = instances.masks.select(torch.tensor([position]))
        yield change(next(each_mask(one))) if known else nothing


def _visible(mask: BoolMask, covered: BoolMask) -> BoolMask:
    """What is left of a mask; nothing if that is not enough."""
    visible = mask & ~covered
    enough = visible.sum() >= max(np.float32(MIN_VISIBLE) * np.float32(mask.sum()), 1)
    return visible if enough else np.zeros_like(mask)


def uncovered_box(box: Tensor, covered: BoolMask) -> Tensor:
    """The box `[4]` around the pixels of a box that are not `covered` `[H, W]`; all 0 if these are not enough."""
    left, top, right, bottom = (int(edge) for edge in (*box[:2].floor(), *box[2:].ceil()))
    free = ~covered[top:bottom, left:right]
    if free.all():
        return box
    if free.sum() < MIN_VISIBLE * free.size:
        return torch.zeros_like(box)
    x, y, width, height = cv2.boundingRect(free.view(np.uint8))
    low, high = box.new_tensor([left + x, top + y]), box.new_tensor([left + x + width, top + y + height])
    return torch.cat([box[:2].maximum(low), box[2:].minimum(high)])


def cut_boxes(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes `[N, 4]` cut at the edges of a photo of `size`; all 0 where too little is left, or less than a pixel."""
    inside = clip_boxes(boxes, size)
    sides = inside[:, 2:] - inside[:, :2]
    enough = sides.prod(dim=1) >= MIN_VISIBLE * (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    return inside * (enough & (sides >= 1).all(dim=1))[:, None]


def _with_masks(instances: Instances, masks: CropMasks, boxes: Tensor) -> Instances:
    """The instances with changed masks and tight boxes around them, without those that are gone.

    Args:
        instances: as they were.
        masks: one for each.
        boxes: `[N, 4]`, which count for objects without a mask; all 0 for one that is gone.
    """
    boxes = torch.where(instances.has_mask[:, None], masks.boxes(), boxes)
    return replace(instances, boxes=boxes, masks=masks)[boxes[:, 2] > boxes[:, 0]]


def _joined(below: Instances, above: Instances) -> Instances:
    """The instances of one photo, those that are behind first; the masks of both are `CropMasks`."""
    assert isinstance(below.masks, CropMasks)
    assert isinstance(above.masks, CropMasks)
    names = ("boxes", "classes", "scores", "crowd", "has_mask")
    boxes, classes, scores, crowd, has_mask = (
        torch.cat([getattr(side, name) for side in (below, above)]) for name in names
    )
    masks = below.masks.joined(above.masks)
    return Instances(below.size, boxes, classes, masks, scores, crowd, below.names, has_mask)
