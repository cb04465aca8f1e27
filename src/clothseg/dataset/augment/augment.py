"""Random changes to a photo and its instances together.

First geometry, then light (`changes.py`); copy-paste is a step of its own. Boxes are computed from the masks, so that
the two never disagree.
"""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from clothseg.config import AugmentSettings
from clothseg.dataset.augment.changes import change_geometry, change_light
from clothseg.instances import CropMasks, Instances, each_mask
from clothseg.instances.rle import BoolMask

MIN_VISIBLE = 0.2
"""An object of which a smaller part than this is still visible after copy-paste is left out."""


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
        the changed photo of the same size, and its instances: boxes tight round the masks, emptied ones left out.
    """
    image, masks = change_geometry(image, instances.masks, settings, generator)
    image = change_light(image, settings, generator)
    return image, _from_masks(masks, instances.classes, instances.crowd)


def paste_instances(
    image: Tensor, instances: Instances, other: Tensor, others: Instances, generator: torch.Generator
) -> tuple[Tensor, Instances]:
    """Copy-paste: puts random objects of `other` `[3, h, w]` onto `image` `[3, H, W]`, in front; both are uint8.

    The other photo is scaled to fit into the first one and laid over it at a random place. Crowds are not pasted;
    objects behind lose the pixels that are covered, and are left out where little of them stays visible.

    Source: Ghiasi et al., Simple Copy-Paste is a Strong Data Augmentation Method for Instance Segmentation (2021).

    Returns:
        the new photo of the size of `image`, and its instances.
    """
    chosen = ~others.crowd & (torch.rand(len(others), generator=generator) < 0.5)
    if not chosen.any():
        return image, instances
    height, width = instances.size
    scale = min(height / others.size[0], width / others.size[1])
    size = max(1, int(others.size[0] * scale)), max(1, int(others.size[1] * scale))
    margins = height - size[0], width - size[1]
    top, left = (int(torch.randint(margin + 1, (), generator=generator)) for margin in margins)
    inside = (slice(top, top + size[0]), slice(left, left + size[1]))
    front = CropMasks.cut((_place(mask, size, inside, instances.size) for mask in each_mask(others[chosen].masks)),
                          instances.size)  # fmt: skip
    covered = front.union()
    layer = image.clone()
    layer[:, *inside] = F.interpolate(other[None], size=size, mode="bilinear", antialias=True)[0]
    stays: list[bool] = []
    behind = CropMasks.cut(_visible(instances, covered, stays), instances.size)
    kept = torch.tensor(stays, dtype=torch.bool)
    classes = torch.cat([instances.classes[kept], others.classes[chosen]])
    crowd = torch.cat([instances.crowd[kept], torch.zeros(len(front), dtype=torch.bool)])
    masks = behind.select(kept.nonzero()[:, 0]).joined(front)
    return torch.where(torch.from_numpy(covered), layer, image), _from_masks(masks, classes, crowd)


def _place(mask: BoolMask, size: tuple[int, int], inside: tuple[slice, slice], photo: tuple[int, int]) -> BoolMask:
    """A mask of the other photo, scaled to `size` and put at its place on an empty photo."""
    whole: BoolMask = np.zeros(photo, dtype=np.bool_)
    whole[inside] = F.interpolate(torch.from_numpy(mask.view(np.uint8))[None, None], size=size)[0, 0].numpy()
    return whole


def _visible(instances: Instances, covered: BoolMask, stays: list[bool]) -> Iterator[BoolMask]:
    """What is left of each mask; `stays` gets whether that is enough."""
    for mask in each_mask(instances.masks):
        visible = mask & ~covered
        stays.append(bool(visible.sum() >= max(np.float32(MIN_VISIBLE) * np.float32(mask.sum()), 1)))
        yield visible


def _from_masks(masks: CropMasks, classes: Tensor, crowd: Tensor) -> Instances:
    """Instances of masks, without the empty ones; boxes are tight round the masks."""
    boxes = masks.boxes()
    present = boxes[:, 2] > boxes[:, 0]
    kept = masks.select(present.nonzero()[:, 0])
    return Instances(masks.size, boxes[present], classes[present], kept, crowd=crowd[present])
