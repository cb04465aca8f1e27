"""From photos of any size to one batch of the network's input, and the truth with them."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from clothseg.config import Picture
from clothseg.instances import Instances
from clothseg.networks.input import Window, from_photo
from clothseg.networks.mask_rcnn.conventions import Conventions
from clothseg.networks.resampling import resample


@dataclass(frozen=True)
class Target:
    """The truth of one photo on the network's grid.

    Attributes:
        boxes: `[N, 4]` float, pixels of the padded input, of instances to be found.
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


def resize_image(image: Tensor, size: tuple[int, int], conventions: Conventions) -> Tensor:
    """`[3, h, w]` of `size` from a photo `[3, H, W]` in 0..1, its channels in order and normalised."""
    mean, std = _channels(image, conventions)
    if conventions.resampling == "float":
        scaled = image if conventions.pixel_scale == 1 else image * conventions.pixel_scale
        return resample((_ordered(scaled, conventions) - mean) / std, size, "float")
    bytes_ = _ordered(resample(image, size, conventions.resampling), conventions)
    return (bytes_ * (conventions.pixel_scale / 255) - mean) / std


def _ordered(image: Tensor, conventions: Conventions) -> Tensor:
    return image.flip(0) if conventions.channels == "bgr" else image


def _channels(image: Tensor, conventions: Conventions) -> tuple[Tensor, Tensor]:
    return image.new_tensor(conventions.mean)[:, None, None], image.new_tensor(conventions.std)[:, None, None]


def padded_size(sizes: list[tuple[int, int]], picture: Picture, conventions: Conventions) -> tuple[int, int]:
    """Height and width of the input that holds photos of these resized `sizes`."""
    if picture.resize == "fit":
        sides = [picture.height, picture.width]
    elif picture.resize == "square":
        sides = [picture.max_side] * 2
    else:
        sides = [max(side) for side in zip(*sizes, strict=True)]
    divisor = conventions.size_divisor
    height, width = (math.ceil(side / divisor) * divisor for side in sides)
    return height, width


def pad_images(images: list[Tensor], windows: list[Window], conventions: Conventions) -> Tensor:
    """One batch `[B, 3, H, W]` of resized photos, each in its window."""
    mean, std = _channels(images[0], conventions)
    batch = images[0].new_zeros((len(images), 3, *windows[0].padded))
    if conventions.black_padding:
        batch += -mean / std
    for place, image, window in zip(batch, images, windows, strict=True):
        rows, columns = slice(window.top, window.top + window.height), slice(window.left, window.left + window.width)
        place[:, rows, columns] = image
    return batch


def resize_target(target: Instances, window: Window) -> Target:
    """The truth of one photo on the network's grid."""
    wanted = ~target.crowd
    boxes = from_photo(target.boxes, window, target.size)
    masks = target[wanted].masks.pixels()
    if len(masks):
        masks = F.interpolate(masks[:, None].float(), size=window.size)[:, 0]
    else:
        masks = torch.zeros((0, *window.size))
    return Target(boxes[wanted], target.classes[wanted], masks.to(torch.uint8), boxes[target.crowd])
