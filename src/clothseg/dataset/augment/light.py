"""Changes of pixel values: brightness, contrast, saturation, blur and sharpness. Masks do not change."""

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from clothseg.config import AugmentSettings
from clothseg.dataset.augment.draws import between, factor, happens


def relight(image: Tensor, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
    """Changes the light and sharpness of a photo `[3, H, W]` float in 0..1 at random."""
    brightness, contrast, saturation = (
        factor(part, generator) for part in (settings.brightness, settings.contrast, settings.saturation)
    )
    if brightness != 1:
        image = transforms.adjust_brightness(image, brightness)
    if contrast != 1:
        image = transforms.adjust_contrast(image, contrast)
    if saturation != 1:
        image = transforms.adjust_saturation(image, saturation)
    sigma = between(0, settings.blur.max, generator)
    if happens(settings.blur, generator) and sigma > 0.05:
        image = transforms.gaussian_blur(image, [2 * round(3 * sigma) + 1] * 2, [sigma, sigma])
    sharper = between(0, settings.sharpen.max, generator)
    if happens(settings.sharpen, generator):
        image = transforms.adjust_sharpness(image, 1 + sharper)
    return image
