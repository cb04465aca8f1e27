"""The strong augmentation of photos that a teacher labelled: the student must see the same objects in other light."""

from functools import lru_cache

import torch
from torch import Tensor

from clothseg.config import AugmentSettings, Strength
from clothseg.config.augment import FractionStrength
from clothseg.dataset.augment.changes import happens, uniform

_LEAST = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.5}
"""How far the light of a photo changes at least."""
_BLUR = Strength(max=1.5, p=0.5)
_ERASE = FractionStrength(max=0.15, p=0.5)


@lru_cache(maxsize=8)
def strong(settings: AugmentSettings) -> AugmentSettings:
    """The same changes of geometry, with light that changes further, blur, and a part of the photo covered.

    Source: Liu et al., Unbiased Teacher for Semi-Supervised Object Detection (2021), table 7: stronger colour jitter,
    blur and random erasing for the student.
    """
    light = {name: FractionStrength(max=max(least, getattr(settings, name).max)) for name, least in _LEAST.items()}
    blur = max((settings.blur, _BLUR), key=lambda change: change.max * change.p)
    erase = max((settings.erase, _ERASE), key=lambda change: change.max * change.p)
    return settings.model_copy(update={**light, "blur": blur, "erase": erase})


def cover_part(image: Tensor, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
    """Covers a rectangle of a photo `[3, H, W]` uint8 with its mean colour, as `settings.erase` says.

    The rectangle has between a quarter of that fraction and all of it, and sides in a ratio of 1:3 to 3:1.

    Source: Zhong et al., Random Erasing Data Augmentation (2017).
    """
    if not settings.erase.max or not happens(settings.erase, generator):
        return image
    height, width = image.shape[1:]
    area = uniform(settings.erase.max / 4, settings.erase.max, generator) * height * width
    ratio = 3.0 ** uniform(-1, 1, generator)
    sides = min(height, max(1, round((area * ratio) ** 0.5))), min(width, max(1, round((area / ratio) ** 0.5)))
    top, left = (int(uniform(0, of - side, generator)) for of, side in zip((height, width), sides, strict=True))
    covered = image.clone()
    covered[:, top : top + sides[0], left : left + sides[1]] = image.float().mean((1, 2), keepdim=True).to(torch.uint8)
    return covered
