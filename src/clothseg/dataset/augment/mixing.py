"""Copy-paste: objects of one photo onto another. Source: Ghiasi et al., Simple Copy-Paste (2021)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from clothseg.instances import Instances, PixelMasks, boxes_of_masks

HIDDEN = 0.2
"""An object of which less than this part is still seen is left out."""


def paste_instances(
    image: Tensor, instances: Instances, other: Tensor, others: Instances, generator: torch.Generator
) -> tuple[Tensor, Instances]:
    """Put a random part of the objects of `other` `[3, h, w]` onto `image` `[3, H, W]`, in front of what is there.

    The other photo is laid over the first one, scaled to fit into it, at a random place. Crowds are not taken; objects
    behind lose the pixels that are covered, and go where little of them is left.

    Returns:
        the new photo of the size of `image`, and what is on it.
    """
    chosen = ~others.crowd & (torch.rand(len(others), generator=generator) < 0.5)
    if not chosen.any():
        return image, instances
    height, width = instances.size
    scale = min(height / others.size[0], width / others.size[1])
    size = max(1, int(others.size[0] * scale)), max(1, int(others.size[1] * scale))
    top, left = (int(torch.randint(room + 1, (), generator=generator)) for room in (height - size[0], width - size[1]))
    inside = (slice(top, top + size[0]), slice(left, left + size[1]))
    front = torch.zeros((int(chosen.sum()), height, width), dtype=torch.bool)
    front[:, *inside] = F.interpolate(others[chosen].masks.pixels()[:, None].float(), size=size)[:, 0] > 0.5
    layer = image.clone()
    layer[:, *inside] = F.interpolate(other[None], size=size, mode="bilinear", antialias=True)[0]
    covered = front.any(dim=0)
    behind = instances.masks.pixels()
    seen = behind & ~covered
    areas = torch.stack([behind.flatten(1).sum(1), seen.flatten(1).sum(1)])
    kept = areas[1] >= (HIDDEN * areas[0]).clamp(min=1)
    masks = torch.cat([seen[kept], front])
    there = masks.flatten(1).any(dim=1)
    classes = torch.cat([instances.classes[kept], others.classes[chosen]])[there]
    crowd = torch.cat([instances.crowd[kept], torch.zeros(len(front), dtype=torch.bool)])[there]
    masks = masks[there]
    found = Instances(instances.size, boxes_of_masks(masks), classes, PixelMasks(masks), crowd=crowd)
    return torch.where(covered, layer, image), found
