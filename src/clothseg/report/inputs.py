"""What the network receives: training photos with their annotations, and some at the network's input size."""

from dataclasses import dataclass
from pathlib import Path

from clothseg.config import Config
from clothseg.counting import spread
from clothseg.dataset.show_input import preview_input
from clothseg.errors import ConfigError, PhotoError
from clothseg.evaluation.truth import GroundTruth
from clothseg.instances import Instances, resize_instances
from clothseg.networks import input_transform
from clothseg.networks.input import InputTransform
from clothseg.photos import RgbImage
from clothseg.pictures import draw_masks, draw_outlines
from clothseg.pictures.embed import shrink
from clothseg.report.choice import sample_of_classes
from clothseg.report.figures import EmbeddedPhoto, photo_uri, read_sized_photo
from clothseg.report.reading import to_instances

_AREA = 130_000  # pixels of a picture
_RESIZED = 3  # photos that are shown at the input size too


@dataclass(frozen=True)
class Resized:
    """A photo, its masks, and both at the network's input size: pictures with captions."""

    pictures: tuple[tuple[EmbeddedPhoto, str], ...]


def transform_of(config: Path) -> InputTransform | None:
    """The input transform of a run's network; None if the configuration is missing or of another version."""
    try:
        return input_transform(Config.load_saved(config))
    except ConfigError:
        return None


def training_photos(
    truth: GroundTruth, images: Path, transform: InputTransform | None, wanted: int = 12
) -> tuple[list[EmbeddedPhoto], list[Resized], list[str]]:
    """Training photos for the page.

    Returns:
        Photos with masks and boxes as lines, some of them at the input size, and the names of unreadable photos.
    """
    lines, resized, unread = [], [], []
    chosen = sample_of_classes(truth, wanted)
    also_resized = {chosen[position]["id"] for position in spread(len(chosen), _RESIZED)}
    for image in chosen:
        instances = to_instances(truth.by_photo[image["id"]], image)
        try:
            photo = read_sized_photo(truth.photo_path(image, images), instances.size)
        except PhotoError:
            unread.append(str(image.get("file_name", image["id"])))
            continue
        lines.append(_outlines(photo, instances, truth))
        if transform is not None and image["id"] in also_resized:
            resized.append(_resized(photo, instances, transform))
    return lines, resized, unread


def _outlines(photo: RgbImage, instances: Instances, truth: GroundTruth) -> EmbeddedPhoto:
    small = shrink(photo, _AREA)
    drawn = draw_outlines(small, resize_instances(instances, (small.shape[0], small.shape[1])))
    names = [truth.names.get(int(class_id), f"class {class_id}") for class_id in instances.classes]
    return _photo(drawn, ", ".join(names))


def _resized(photo: RgbImage, instances: Instances, transform: InputTransform) -> Resized:
    height, width = instances.size
    masks = draw_masks(instances)
    small, small_masks = preview_input(photo, masks, transform)
    tall, wide = transform.resized(instances.size)
    padded = f", padded to {small.shape[1]} × {small.shape[0]}" if small.shape[:2] != (tall, wide) else ""
    captioned = (
        (photo, f"photo, {width} × {height} pixels"),
        (masks, "its masks"),
        (small, f"network input, {wide} × {tall}{padded}"),
        (small_masks, "its masks"),
    )
    return Resized(tuple((_photo(shrink(picture, _AREA), text), text) for picture, text in captioned))


def _photo(picture: RgbImage, text: str) -> EmbeddedPhoto:
    return EmbeddedPhoto(photo_uri(picture), picture.shape[1], picture.shape[0], text)
