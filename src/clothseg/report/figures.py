"""Pictures of a page as data URIs: photos as WebP, curves as SVG."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from clothseg.errors import PhotoError
from clothseg.evaluation.truth import GroundTruth
from clothseg.instances import CocoResult, Instances, resize_instances
from clothseg.photos import RgbImage, read_photo
from clothseg.pictures import draw_instances, loss_curve, loss_names
from clothseg.pictures.embed import shrink
from clothseg.report.choice import ends_and_between, ranked_photos
from clothseg.report.reading import results_by_photo, to_instances
from clothseg.training.history import overfitting

_AREA = 250_000  # pixels of a photo
_MAX_BYTES = 45_000  # of one photo, so that a page with 72 stays under 5 MB after base64
_QUALITIES = (82, 70, 55, 40, 25)


@dataclass(frozen=True)
class EmbeddedPhoto:
    """A drawn photo: `source` is a data URI, `width` and `height` are in pixels, `text` names what it shows."""

    source: str
    width: int
    height: int
    text: str


@dataclass(frozen=True)
class Pair:
    """Ground truth and detections of one photo, with their agreement in 0..1."""

    truth: EmbeddedPhoto
    found: EmbeddedPhoto
    agreement: float
    name: str


def curve_figures(history: Sequence[Mapping[str, object]], marks: Mapping[str, int]) -> list[tuple[str, str]]:
    """Name and data URI of each loss curve; `marks` are the losses that overfit, with the epoch from which they do."""
    return [
        (name, data_uri(loss_curve(history, name, mark=marks.get(name)), "image/svg+xml"))
        for name in loss_names(history)
    ]


def overfitting_losses(history: Sequence[Mapping[str, str]]) -> dict[str, int]:
    """The losses that overfit by the text of a `history.csv`, with the epoch from which they do; as in `curves.png`."""
    try:
        return overfitting([{key: float(text) for key, text in row.items() if text} for row in history])
    except (KeyError, TypeError, ValueError):  # a history of other columns: the curves are drawn as far as they go
        return {}


def prediction_pairs(
    truth: GroundTruth, predictions: Sequence[CocoResult], images: Path, *, threshold: float, wanted: int = 12
) -> tuple[list[Pair], list[str]]:
    """The photos with the best agreement, the worst, and some between, best first.

    Returns:
        The pairs, and the names of photos that cannot be read.
    """
    ranked = ranked_photos(truth, predictions, threshold)
    shown = results_by_photo(truth.images, [row for row in predictions if row["score"] >= threshold])
    pairs, unread = [], []
    for position in ends_and_between(len(ranked), wanted // 3):
        score, image = ranked[position]
        name = str(image.get("file_name", image["id"]))
        try:
            photo = read_sized_photo(truth.photo_path(image, images), (image["height"], image["width"]))
        except PhotoError:
            unread.append(name)
            continue
        objects = drawn_photo(photo, to_instances(truth.by_photo[image["id"]], image), truth.names, scores=False)
        found = drawn_photo(photo, to_instances(shown[image["id"]], image), truth.names, scores=True)
        pairs.append(Pair(objects, found, score, name))
    return pairs, unread


def read_sized_photo(path: Path, size: tuple[int, int]) -> RgbImage:
    """The photo, if it has the `size` (height, width) that its annotations were made for.

    Raises:
        PhotoError: it cannot be read, or has another size.
    """
    photo = read_photo(path)
    if photo.shape[:2] != size:
        raise PhotoError(
            f"{path}: the photo has {photo.shape[0]} x {photo.shape[1]} pixels (height x width), but its annotations "
            f"were made for {size[0]} x {size[1]}"
        )
    return photo


def data_uri(content: bytes, kind: str) -> str:
    """A URI that contains `content`, of the media type `kind`."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def drawn_photo(photo: RgbImage, instances: Instances, names: Mapping[int, str], *, scores: bool) -> EmbeddedPhoto:
    """Draws instances on a photo, shrunk first, so that lines and letters have the right size on the page."""
    small = shrink(photo, _AREA)
    size = (small.shape[0], small.shape[1])
    drawn = draw_instances(small, resize_instances(instances, size), names, scores=scores)
    found = [names.get(int(c), f"class {c}") for c in instances.classes]
    text = ", ".join(found) if found else "nothing"
    return EmbeddedPhoto(photo_uri(drawn), size[1], size[0], text)


def photo_uri(picture: RgbImage) -> str:
    """`picture` as a WebP of the best quality within the size limit of a photo, as a data URI."""
    content = b""
    for quality in _QUALITIES:
        target = io.BytesIO()
        Image.fromarray(picture).save(target, format="WEBP", quality=quality, method=4)
        content = target.getvalue()
        if len(content) <= _MAX_BYTES:
            break
    return data_uri(content, "image/webp")
