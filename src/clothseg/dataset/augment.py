"""Changes to a photo and its instances together."""

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from clothseg.config import Augment
from clothseg.instances import Instances, PixelMasks


def augment(
    image: Tensor, instances: Instances, settings: Augment, generator: torch.Generator
) -> tuple[Tensor, Instances]:
    """One random change of a photo: flip, zoom and shift, light and colour, as far as `settings` allow each.

    Args:
        image: `[3, H, W]` float in 0..1.
        instances: what is on it.
        settings: how far each change may go.
        generator: draws the change; a fixed number of draws is taken.

    Returns:
        the changed photo of the same size, and its instances: boxes tight round the masks, emptied ones left out.
    """
    draw = torch.rand(6, generator=generator)
    masks = instances.masks.pixels()
    if draw[0] < settings.flip:
        image, masks = image.flip(-1), masks.flip(-1)
    if settings.scale or settings.shift:
        height, width = instances.size
        scale = 1 + settings.scale * (2 * float(draw[1]) - 1)
        shift = [round(side * settings.shift * (2 * float(d) - 1)) for side, d in ((width, draw[2]), (height, draw[3]))]
        grey = [float(v) for v in image.mean(dim=(1, 2))]
        place = {"angle": 0.0, "translate": shift, "scale": scale, "shear": [0.0, 0.0]}
        image = transforms.affine(image, **place, interpolation=transforms.InterpolationMode.BILINEAR, fill=grey)
        masks = transforms.affine(masks.to(torch.uint8), **place).bool() if len(masks) else masks
    if settings.colour:
        image = transforms.adjust_brightness(image, 1 + settings.colour * (2 * float(draw[4]) - 1))
        image = transforms.adjust_saturation(image, 1 + settings.colour * (2 * float(draw[5]) - 1))
    return image, _from_masks(instances, masks)


def _from_masks(instances: Instances, masks: Tensor) -> Instances:
    kept = masks.flatten(1).any(dim=1) if len(masks) else torch.zeros(0, dtype=torch.bool)
    masks = masks[kept]
    boxes = torch.zeros((len(masks), 4))
    for box, mask in zip(boxes, masks, strict=True):
        rows, columns = torch.where(mask.any(dim=1))[0], torch.where(mask.any(dim=0))[0]
        box[:] = torch.stack([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    return Instances(instances.size, boxes, instances.classes[kept], PixelMasks(masks), crowd=instances.crowd[kept])
