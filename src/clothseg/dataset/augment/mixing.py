"""Copy-paste: objects of one photo on another. Source: Ghiasi et al., Simple Copy-Paste (2021)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from clothseg.instances import Instances, PixelMasks, boxes_of_masks

MIN_VISIBLE = 0.2
"""An object is removed if less than this part of it stays visible."""


def paste_instances(
    image: Tensor, instances: Instances, other: Tensor, others: Instances, generator: torch.Generator
) -> tuple[Tensor, Instances]:
    """Pastes random objects of another photo on a photo, in front of its objects.

    The other photo is scaled to fit into the first one and placed at random. Crowds are not pasted. Objects behind lose
    the covered pixels, and are removed if little of them stays visible.

    Args:
        image: `[3, H, W]` float in 0..1.
        instances: the instances on `image`.
        other: `[3, h, w]` float in 0..1.
        others: the instances on `other`.
        generator: the source of randomness.

    Returns:
        The new photo, of the size of `image`, and its instances.
    """
    chosen = ~others.crowd & (torch.rand(len(others), generator=generator) < 0.5)
    if not chosen.any():
        return image, instances
    height, width = instances.size
    scale = min(height / others.size[0], width / others.size[1])
    size = max(1, int(others.size[0] * scale)), max(1, int(others.size[1] * scale))
    top, left = (int(torch.randint(free + 1, (), generator=generator)) for free in (height - size[0], width - size[1]))
    inside = (slice(top, top + size[0]), slice(left, left + size[1]))
    front = torch.zeros((int(chosen.sum()), height, width), dtype=torch.bool)
    front[:, *inside] = F.interpolate(others[chosen].masks.pixels()[:, None].float(), size=size)[:, 0] > 0.5
    layer = image.clone()
    layer[:, *inside] = F.interpolate(other[None], size=size, mode="bilinear", antialias=True)[0]
    covered = front.any(dim=0)
    behind = instances.masks.pixels()
    visible = behind & ~covered
    areas = torch.stack([behind.flatten(1).sum(1), visible.flatten(1).sum(1)])
    kept = areas[1] >= (MIN_VISIBLE * areas[0]).clamp(min=1)
    masks = torch.cat([visible[kept], front])
    nonempty = masks.flatten(1).any(dim=1)
    classes = torch.cat([instances.classes[kept], others.classes[chosen]])[nonempty]
    crowd = torch.cat([instances.crowd[kept], torch.zeros(len(front), dtype=torch.bool)])[nonempty]
    masks = masks[nonempty]
    found = Instances(instances.size, boxes_of_masks(masks), classes, PixelMasks(masks), crowd=crowd)
    return torch.where(covered, layer, image), found
