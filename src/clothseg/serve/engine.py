"""What the server can do with photos: the package's own prediction, cut-outs, compositions and label files."""

import hashlib
import io
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image

from clothseg.dataset.prelabels import coco_file, label_studio_config, label_studio_tasks
from clothseg.errors import DataError
from clothseg.garments import compose, cut_out, decode_cutout, encode_cutout, load_foreground
from clothseg.instances import CocoCategory, CocoImage, CocoResult, coco_results, decode, mask_area, tight_box
from clothseg.photos import RgbImage
from clothseg.pictures import class_colour
from clothseg.pictures.embed import shrink
from clothseg.pictures.outlines import mask_contours
from clothseg.serve.decode import decode_photo, opened
from clothseg.serve.limits import Limits, RequestError

if TYPE_CHECKING:
    from clothseg.instances import Instances, Rle
    from clothseg.instances.arrays import ArrayInstances

    Found = Instances | ArrayInstances

Find = Callable[[Sequence[RgbImage]], Sequence["Found"]]
"""Returns the instances on each of some photos, such as `functools.partial(detect_batch, model)`."""
_OUTLINE = 1 / 1600
"""How far an outline on the page may be from its mask, as a part of the photo's longer side."""
_PREVIEW_AREA = 2_000_000  # pixels
_JPEG_QUALITY = 92


class Engine:
    """Answers questions about photos. It is not for several threads at once.

    Args:
        find: the network.
        classes: the names of the classes 1..K.
        limits: for photos and memory.
    """

    def __init__(self, find: Find, classes: Sequence[str], limits: Limits) -> None:
        self.classes, self.limits = list(classes), limits
        self._find = find
        self.cache = DetectionCache(limits.cache_bytes)

    def predict(self, content: bytes, *, score_threshold: float = 0.0) -> dict[str, Any]:
        """The instances on a photo as the JSON of `api_types.Prediction`."""
        _, found = self._detect(content)
        height, width = found.size
        rows = coco_results(1, found, lambda label: label)
        instances = [
            _instance(number, row, self.classes)
            for number, row in enumerate(rows)
            if row["score"] >= score_threshold and mask_area(row["segmentation"])
        ]
        return {"width": width, "height": height, "instances": instances}

    def cutout(self, content: bytes, instance: int, *, full_frame: bool = False) -> bytes:
        """One instance cut out of a photo, as `clothseg cutout` does: a PNG with alpha.

        Args:
            content: the photo.
            instance: the number that `predict` gave it.
            full_frame: whether the PNG has the photo's size.

        Raises:
            RequestError: there is no such instance, or nothing of it is visible.
        """
        photo, found = self._detect(content)
        if not 0 <= instance < len(found):
            raise RequestError(404, f"there is no instance {instance} on this photo; it has {len(found)}")
        name = self.classes[int(found.classes[instance]) - 1]
        cutout = cut_out(decode_photo(content, self.limits) if photo is None else photo, found, instance, name)
        if cutout is None:
            raise RequestError(404, f"nothing of instance {instance} is visible")
        return encode_cutout(cutout, full_frame=full_frame)

    def compose(
        self, cutout: bytes, background: bytes, *, x: float, y: float, width: float, match_light: bool, form: str
    ) -> bytes:
        """Pastes a cut-out on a photo; see `garments.compose`.

        Args:
            cutout: a picture with transparency.
            background: a photo.
            x: of the garment's middle, as a part of the photo's width.
            y: of the garment's middle, as a part of the photo's height.
            width: of the garment, as a part of the photo's width.
            match_light: whether its colours are adapted to the light of the photo.
            form: `JPEG` or `PNG`.

        Raises:
            DataError: the garment would be outside the photo, or too large.
        """
        with opened(cutout, self.limits, "the cut-out") as picture:
            garment = decode_cutout(picture, "the cut-out")
        photo = decode_photo(background, self.limits, "the background")
        high, wide = photo.shape[:2]
        garment_high, garment_wide = garment.picture.shape[:2]
        new_wide = max(width * wide, 1.0)
        new_high = max(new_wide * garment_high / garment_wide, 1.0)
        if new_wide * new_high > self.limits.photo_pixels / 2:
            raise DataError(f"the garment would have {new_wide:.0f} x {new_high:.0f} pixels; choose a smaller width")
        left, top = x * wide - new_wide / 2, y * high - new_high / 2
        box = (left, top, left + new_wide, top + new_high)
        target = io.BytesIO()
        result = compose(garment, photo, box, match_light=match_light)
        Image.fromarray(result).save(target, format=form, quality=_JPEG_QUALITY)
        return target.getvalue()

    def preview(self, content: bytes) -> bytes:
        """A photo as a JPEG of at most two million pixels, upright: for formats that a browser cannot show."""
        target = io.BytesIO()
        small = shrink(decode_photo(content, self.limits), _PREVIEW_AREA)
        Image.fromarray(small).save(target, format="JPEG", quality=_JPEG_QUALITY)
        return target.getvalue()

    def labels(self, images: list[CocoImage], results: list[CocoResult], form: str) -> Any:
        """A label file as `clothseg predict --labels` writes it; `label-studio-config` is its interface as XML."""
        names: list[CocoCategory] = [{"id": number, "name": name} for number, name in enumerate(self.classes, 1)]
        if form == "label-studio":
            return label_studio_tasks(images, names, results, photos_url="/data/local-files/?d=", model="clothseg")
        if form == "label-studio-config":
            return label_studio_config(names, [class_colour(category["id"]) for category in names])
        return coco_file(images, names, results, tolerance=1.0 if form == "coco" else None)[0]

    def warm_up(self) -> None:
        """Loads what the first cut-out needs, and runs the network once."""
        load_foreground()
        self._find([np.full((64, 64, 3), 127, dtype=np.uint8)])

    def _detect(self, content: bytes) -> tuple[RgbImage | None, "Found"]:
        """The detections on a photo, and the photo if it had to be decoded for them."""
        key = self.cache.key(content)
        if (kept := self.cache.get(key)) is not None:
            return None, kept
        photo = decode_photo(content, self.limits)
        found = self._find([photo])[0]
        self.cache.add(key, found)
        return photo, found


class DetectionCache:
    """The latest detections, by a hash of their photo. Photos are not kept.

    Attributes:
        used_bytes: memory of the detections, at most the budget.
    """

    def __init__(self, budget: int) -> None:
        self._budget, self.used_bytes = budget, 0
        self._secret = secrets.token_bytes(32)
        self._found: OrderedDict[bytes, tuple[Found, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._found)

    def key(self, content: bytes) -> bytes:
        """The hash of a photo. It cannot be compared with hashes of other processes."""
        return hashlib.blake2b(content, digest_size=32, key=self._secret).digest()

    def get(self, key: bytes) -> "Found | None":
        """The detections on a photo, if they are still there."""
        if key not in self._found:
            return None
        self._found.move_to_end(key)
        return self._found[key][0]

    def add(self, key: bytes, found: "Found") -> None:
        """Keeps detections, and drops the oldest ones that are over the budget."""
        size = _tensor_bytes(found) + 1024
        if size > self._budget:
            return
        self._found[key] = found, size
        self.used_bytes += size
        while self.used_bytes > self._budget:
            self.used_bytes -= self._found.popitem(last=False)[1][1]


def _tensor_bytes(value: object) -> int:
    """The bytes of the tensors and arrays, and the letters of the texts, that an object holds."""
    if hasattr(value, "untyped_storage"):
        return int(value.untyped_storage().nbytes())
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(map(_tensor_bytes, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(_tensor_bytes, value))
    return sum(map(_tensor_bytes, vars(value).values())) if hasattr(value, "__dict__") else 8


def _instance(number: int, row: CocoResult, classes: Sequence[str]) -> dict[str, Any]:
    mask = row["segmentation"]
    return {
        "id": number,
        "class": classes[row["category_id"] - 1],
        "class_id": row["category_id"],
        "score": row["score"],
        "bbox": row["bbox"],
        "area": mask_area(mask),
        "segmentation": mask,
        "outlines": _outlines(mask),
    }


def _outlines(mask: "Rle") -> list[list[float]]:
    """The contours of a mask and of its holes as `[x1, y1, x2, y2, ...]` in pixels, with few points."""
    x, y, width, height = (int(side) for side in tight_box(mask))
    part = decode(mask)[y : y + height, x : x + width]
    tolerance = max(max(mask["size"]) * _OUTLINE, 0.5)
    rings = (cv2.approxPolyDP(edge, tolerance, True)[:, 0] for edge in mask_contours(part))
    return [np.round(ring + np.array([x + 0.5, y + 0.5]), 1).ravel().tolist() for ring in rings if len(ring) > 2]
