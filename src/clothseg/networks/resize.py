"""From photos of any size to one batch of the network's input, and boxes back."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from clothseg.config import Picture
from clothseg.instances import Instances, scale_boxes
from clothseg.networks.conventions import Conventions


@dataclass(frozen=True)
class Target:
    """The truth of one photo on the network's grid.

    Attributes:
        boxes: `[N, 4]` float, of instances to be found.
        classes: `[N]` int64, 1..K.
        masks: `[N, h, w]` uint8, h and w being the resized photo's.
        ignored: `[M, 4]` float, boxes of crowds: what is found there is neither right nor wrong.
    """

    boxes: Tensor
    classes: Tensor
    masks: Tensor
    ignored: Tensor

    def to(self, device: torch.device) -> "Target":
        """The same on another device."""
        return Target(*(t.to(device) for t in (self.boxes, self.classes, self.masks, self.ignored)))


def resized_size(size: tuple[int, int], picture: Picture) -> tuple[int, int]:
    """Height and width of a photo of `size` after resizing, before padding."""
    return picture.resized(size)


def resize_image(image: Tensor, size: tuple[int, int], conventions: Conventions) -> Tensor:
    """`[3, h, w]` of `size` from a photo `[3, H, W]` in 0..1, its channels normalised."""
    mean = image.new_tensor(conventions.mean)[:, None, None]
    std = image.new_tensor(conventions.std)[:, None, None]
    return F.interpolate(((image - mean) / std)[None], size=size, mode="bilinear", align_corners=False)[0]


def pad_images(images: list[Tensor], picture: Picture, conventions: Conventions) -> Tensor:
    """One batch `[B, 3, H, W]` of resized photos, zeros at right and bottom."""
    divisor = conventions.size_divisor
    if picture.resize == "fit":
        tall, wide = picture.height, picture.width
    else:
        tall, wide = (max(image.shape[d] for image in images) for d in (1, 2))
    tall, wide = (math.ceil(side / divisor) * divisor for side in (tall, wide))
    batch = images[0].new_zeros((len(images), 3, tall, wide))
    for place, image in zip(batch, images, strict=True):
        place[:, : image.shape[1], : image.shape[2]] = image
    return batch


def resize_target(target: Instances, size: tuple[int, int]) -> Target:
    """The truth of one photo on a grid of `size`."""
    wanted = ~target.crowd
    boxes = scale_boxes(target.boxes, target.size, size)
    masks = target[wanted].masks.pixels()
    if len(masks):
        masks = F.interpolate(masks[:, None].float(), size=size)[:, 0]
    else:
        masks = torch.zeros((0, *size))
    return Target(boxes[wanted], target.classes[wanted], masks.to(torch.uint8), boxes[target.crowd])
