"""What the network is given: photos with their truth as lines, and beside each the same on the network's own grid."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clothseg.config import Config
from clothseg.dataset.show import preview_input
from clothseg.errors import ConfigError, PhotoError
from clothseg.instances import Instances, resize_instances
from clothseg.networks import input_transform
from clothseg.networks.input import InputTransform
from clothseg.photos import read_photo
from clothseg.pictures import draw_masks, draw_outlines
from clothseg.pictures.embed import shrink
from clothseg.report.choice import sample_of_classes, spread
from clothseg.report.figures import EmbeddedPhoto, photo_uri
from clothseg.report.reading import Row, Truth, to_instances

_AREA = 130_000  # pixels of a picture
_RESIZED = 3  # photos that are shown on the network's grid too


@dataclass(frozen=True)
class Resized:
    """A photo, its masks, both as the network gets them, and what their sizes are."""

    pictures: tuple[tuple[EmbeddedPhoto, str], ...]


def transform_of(config: Path) -> InputTransform | None:
    """How the network of a run turns photos into its input; None if there is no configuration of this version."""
    try:
        return input_transform(Config.load(config))
    except ConfigError:
        return None


def training_photos(
    truth: Truth, images: Path, transform: InputTransform | None, wanted: int = 12
) -> tuple[list[EmbeddedPhoto], list[Resized], list[str]]:
    """Photos with their truth as lines, a few as the network gets them, and names of unreadable ones."""
    lines, resized, unread = [], [], []
    chosen = sample_of_classes(truth, wanted)
    also_resized = {chosen[position]["id"] for position in spread(len(chosen), _RESIZED)}
    for image in chosen:
        try:
            photo, instances = _read(truth, image, images)
        except PhotoError:
            unread.append(str(image["file_name"]))
            continue
        lines.append(_outlines(photo, instances, truth))
        if transform is not None and image["id"] in also_resized:
            resized.append(_resized(photo, instances, transform))
    return lines, resized, unread


def _read(truth: Truth, image: Row, images: Path) -> tuple[NDArray[np.uint8], Instances]:
    photo, instances = read_photo(images / str(image["file_name"])), to_instances(truth.by_photo[image["id"]], image)
    if photo.shape[:2] != instances.size:
        raise PhotoError(f"the photo is {photo.shape[:2]}, but its annotations say {instances.size} (height, width)")
    return photo, instances


def _outlines(photo: NDArray[np.uint8], instances: Instances, truth: Truth) -> EmbeddedPhoto:
    small = shrink(photo, _AREA)
    drawn = draw_outlines(small, resize_instances(instances, (small.shape[0], small.shape[1])))
    names = [truth.names.get(int(class_id), f"class {class_id}") for class_id in instances.classes]
    return _photo(drawn, ", ".join(names))


def _resized(photo: NDArray[np.uint8], instances: Instances, transform: InputTransform) -> Resized:
    height, width = instances.size
    masks = draw_masks(instances)
    small, small_masks = preview_input(photo, masks, transform)
    tall, wide = transform.resized(instances.size)
    framed = f", in a frame of {small.shape[1]} × {small.shape[0]}" if small.shape[:2] != (tall, wide) else ""
    said = (
        (photo, f"photo, {width} × {height} pixels"),
        (masks, "its masks"),
        (small, f"as the network gets it, {wide} × {tall}{framed}"),
        (small_masks, "the masks there"),
    )
    return Resized(tuple((_photo(shrink(picture, _AREA), text), text) for picture, text in said))


def _photo(picture: NDArray[np.uint8], text: str) -> EmbeddedPhoto:
    return EmbeddedPhoto(photo_uri(picture), picture.shape[1], picture.shape[0], text)
