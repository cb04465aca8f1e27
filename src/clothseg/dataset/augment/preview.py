"""Previews of augmentation: the original photo beside several versions, as training sees them."""

from collections.abc import Iterator
from typing import Any

from clothseg.config import AugmentSettings, Config
from clothseg.dataset.coco import CocoLikeDataset
from clothseg.dataset.examples import load_example
from clothseg.photos import RgbImage
from clothseg.pictures import draw_instances

_VERSIONS = 4


def preview_versions(settings: AugmentSettings) -> range:
    """The numbers of the augmented versions to show: 4, or fewer if `fixed_views` gives fewer."""
    return range(1, 1 + (min(_VERSIONS, settings.fixed_views - 1) if settings.fixed_views else _VERSIONS))


def preview_augmentation(data: CocoLikeDataset, position: int, config: Config) -> Iterator[tuple[RgbImage, str]]:
    """Yields the photo with boxes and masks, then augmented versions of it, each with a caption.

    The loader of the training makes them, so fixed views (`augment.fixed_views`) are the same as in training.

    Args:
        data: after `prepare`.
        position: of the photo.
        config: its `augment` section and `train.seed` are used.

    Yields:
        `[H, W, 3]` uint8 and the caption.

    Raises:
        PhotoError: a photo cannot be read.
        DataError: a mask cannot be read.
    """
    for version in (0, *preview_versions(config.augment)):
        settings = config.augment if version else None
        image, instances = load_example(data, position, settings, version, config.train.seed)
        pixels = image.permute(1, 2, 0).numpy()
        caption = f"version {version}" if version else data.images[position].path.name
        yield draw_instances(pixels, instances, data.classes, scores=False), caption


def describe_augmentation(settings: AugmentSettings) -> str:
    """One sentence with the changes that are switched on, and their maximum."""
    on = [f"{name} {_short(value)}" for name, value in settings.model_dump().items() if _is_on(value)]
    changes = ", ".join(on) or "no augmentation is switched on"
    return f"Each photo without changes, then as training can see it: {changes}. Masks and boxes are drawn."


def _is_on(value: Any) -> bool:
    return bool(value["max"] and value["p"]) if isinstance(value, dict) else bool(value)


def _short(value: Any) -> str:
    if not isinstance(value, dict):
        return str(list(value) if isinstance(value, tuple) else value)
    return f"{value['max']:g}" + (f" (p {value['p']:g})" if value["p"] < 1 else "")
