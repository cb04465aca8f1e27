"""What augmentation makes of photos: the original beside changed versions, as training would draw them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clothseg.config import AugmentSettings, Config
from clothseg.dataset.coco import CocoLikeDataset
from clothseg.dataset.loader import load_example
from clothseg.pictures import draw_instances

_VERSIONS = 4


def versions(settings: AugmentSettings) -> range:
    """Numbers of the changed versions that are shown: where they are fixed, as many as there are."""
    return range(1, 1 + (min(_VERSIONS, settings.fixed_views - 1) if settings.fixed_views else _VERSIONS))


def previews(data: CocoLikeDataset, position: int, config: Config) -> Iterator[tuple[NDArray[np.uint8], str]]:
    """The photo with boxes and masks, then changed versions of it, `[H, W, 3]` each, with a caption.

    The training's own loader makes them, so fixed views (`augment.fixed_views`) are those of the training.

    Raises:
        PhotoError: a photo cannot be read.
        DataError: a mask cannot be read.
    """
    for version in (0, *versions(config.augment)):
        own = config.augment if version else None
        image, instances = load_example(data, position, own, version, config.train.seed)
        pixels = (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
        caption = f"version {version}" if version else data.images[position].path.name
        yield draw_instances(pixels, instances, data.classes, scores=False), caption


def describe_augmentation(settings: AugmentSettings) -> str:
    """Which changes are switched on, and how far they go."""
    on = [f"{name} {_short(value)}" for name, value in settings.model_dump().items() if _is_on(value)]
    words = ", ".join(on) or "nothing is switched on"
    return f"Each photo as it is, and as training may see it, with masks and boxes: {words}."


def _is_on(value: Any) -> bool:
    return bool(value["max"] and value["p"]) if isinstance(value, dict) else bool(value)


def _short(value: Any) -> str:
    if not isinstance(value, dict):
        return str(list(value) if isinstance(value, tuple) else value)
    return f"{value['max']:g}" + (f" (p {value['p']:g})" if value["p"] < 1 else "")
