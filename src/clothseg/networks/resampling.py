"""Three ways to resize a photo; each implementation of the network has its own."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from clothseg.instances import resize_fading


def resample(image: Tensor, size: tuple[int, int], way: str) -> Tensor:
    """A photo `[3, H, W]` in 0..1 on a grid of `size`; see `Conventions.resampling`.

    `float` answers in 0..1. `pillow` and `fading` bring the photo back to bytes first and answer in whole grey levels
    0..255.
    """
    if way == "float":
        return F.interpolate(image[None], size=size, mode="bilinear", align_corners=False)[0]
    pixels = (image * 255).round().clamp(0, 255).to("cpu", torch.uint8).permute(1, 2, 0).contiguous().numpy()
    if way == "pillow":
        bytes_ = np.array(Image.fromarray(pixels).resize((size[1], size[0]), Image.Resampling.BILINEAR))
    else:
        bytes_ = _fading_bytes(pixels, size)
    return torch.from_numpy(bytes_).permute(2, 0, 1).to(image.device, image.dtype)


def _fading_bytes(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    if pixels.shape[:2] == size:
        return pixels
    return resize_fading(pixels.astype(np.float64), size).astype(np.uint8)
