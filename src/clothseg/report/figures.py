"""Pictures of a page as data URIs: photos as WebP, curves as SVG."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clothseg.errors import PhotoError
from clothseg.instances import Instances, resize_instances
from clothseg.photos import read_photo
from clothseg.pictures import draw_instances, loss_curve, loss_names
from clothseg.pictures.embed import shrink
from clothseg.report.choice import ends_and_between, ranked_photos
from clothseg.report.reading import Row, Truth, by_photo, to_instances

_MOST_BYTES = 45_000  # of one photo, so that a page of 72 stays under 5 MB after base64
_QUALITIES = (82, 70, 55, 40, 25)


@dataclass(frozen=True)
class EmbeddedPhoto:
    """A drawn photo: `source` is a data URI, width and height are its pixels, `text` says what is on it."""

    source: str
    width: int
    height: int
    text: str


@dataclass(frozen=True)
class Pair:
    """Truth and detections of one photo, with their agreement in 0..1."""

    truth: EmbeddedPhoto
    found: EmbeddedPhoto
    agreement: float
    name: str


def curve_figures(history: Sequence[Mapping[str, str]]) -> list[tuple[str, str]]:
    """Name and data URI of each loss curve."""
    return [(name, data_uri(loss_curve(history, name), "image/svg+xml")) for name in loss_names(history)]


def prediction_pairs(
    truth: Truth, predictions: Sequence[Row], images: Path, *, threshold: float, wanted: int = 12
) -> tuple[list[Pair], list[str]]:
    """The best photos by agreement, the worst, and some between, best first; and names of those that cannot be read."""
    ranked = ranked_photos(truth, predictions, threshold)
    shown = by_photo(truth.images, [row for row in predictions if row["score"] >= threshold])
    pairs, unread = [], []
    for position in ends_and_between(len(ranked), wanted // 3):
        score, image = ranked[position]
        name = str(image["file_name"])
        try:
            photo = read_photo(images / name)
            right = to_instances(truth.by_photo[image["id"]], image)
            left = _drawn(photo, right, truth.names, 250_000, scores=False)
            found = _drawn(photo, to_instances(shown[image["id"]], image), truth.names, 250_000, scores=True)
            pairs.append(Pair(left, found, score, name))
        except PhotoError:
            unread.append(name)
    return pairs, unread


def data_uri(content: bytes, kind: str) -> str:
    """`content` of the media type `kind` as a URI that holds it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _drawn(
    photo: NDArray[np.uint8],
    instances: Instances,
    names: Mapping[int, str],
    area: int,
    *,
    scores: bool,
) -> EmbeddedPhoto:
    """Shrink to about `area` pixels first and draw then, so that lines and letters have the size they are seen in."""
    if photo.shape[:2] != instances.size:
        raise PhotoError(f"the photo is {photo.shape[:2]}, but its annotations say {instances.size} (height, width)")
    small = shrink(photo, area)
    size = (small.shape[0], small.shape[1])
    drawn = draw_instances(small, resize_instances(instances, size), names, scores=scores)
    found = [names.get(int(c), f"class {c}") for c in instances.classes]
    text = ", ".join(found) if found else "nothing"
    return EmbeddedPhoto(photo_uri(drawn), size[1], size[0], text)


def photo_uri(picture: NDArray[np.uint8]) -> str:
    """`picture` as a WebP of the best quality that stays under the most bytes that a photo may take."""
    content = b""
    for quality in _QUALITIES:
        target = io.BytesIO()
        Image.fromarray(picture).save(target, format="WEBP", quality=quality, method=4)
        content = target.getvalue()
        if len(content) <= _MOST_BYTES:
            break
    return data_uri(content, "image/webp")
