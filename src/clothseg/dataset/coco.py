"""`CocoLikeDataset`: a dataset in COCO format, with the methods of the report's section 7."""

import copy
import json
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from clothseg.dataset.photo_cache import PhotoCache, fitting, share_photos
from clothseg.errors import DataError
from clothseg.instances import CocoAnnotation, Rle, from_segmentation, tight_box
from clothseg.photos import RgbImage, read_photo

if TYPE_CHECKING:
    from clothseg.instances import Instances


@dataclass(frozen=True)
class ImageEntry:
    """One photo: its path, its size in pixels, and its COCO annotations."""

    id: int
    path: Path
    height: int
    width: int
    annotations: list[CocoAnnotation]


class CocoLikeDataset:
    """Photos with instances.

    Call `load_data` (or `add_class` and `add_image`), then `prepare`. Then access photos by position, from 0.

    Attributes:
        images: the photos in the order of the file.
        class_names: the names of the classes. `prepare` fills it; position 0 is `background`.
        source: the annotations file, or None.
    """

    def __init__(self) -> None:
        self.images: list[ImageEntry] = []
        self.class_names: list[str] = []
        self.source: Path | None = None
        self._image_ids: set[int] = set()
        self._cache = PhotoCache()
        self._classes: dict[tuple[str, int], str] = {}
        self._class_ids: dict[tuple[str, int], int] = {}

    def __repr__(self) -> str:
        """For example `CocoLikeDataset(100 photos, 162 annotations, 3 classes, data/annotations/train.json)`."""
        annotations = sum(len(entry.annotations) for entry in self.images)
        source = f", {self.source}" if self.source else ""
        return f"CocoLikeDataset({len(self)} photos, {annotations} annotations, {len(self._classes)} classes{source})"

    def load_data(self, folder: Path | str, split: str = "train", annotations: Path | str | None = None) -> Self:
        """Reads `annotations/SPLIT.json` of a dataset's folder. Photos are in `images/`.

        Args:
            folder: the dataset, or a folder of photos if `annotations` is given.
            split: `train` or `val`.
            annotations: a COCO instances file in another place.

        Raises:
            DataError: the file is missing or broken, an id occurs twice, or an annotation refers to a photo or class
                that is not in the file.
        """
        folder = Path(folder)
        path = Path(annotations) if annotations else folder / "annotations" / f"{split}.json"
        tree = _read_json(path)
        photos = folder / "images" if (folder / "images").is_dir() else folder
        for category in tree["categories"]:
            self.add_class("coco", _integer(category, "id", path), str(category["name"]))
        of_image: dict[int, list[CocoAnnotation]] = defaultdict(list)
        for annotation in tree["annotations"]:
            of_image[_integer(annotation, "image_id", path)].append(cast(CocoAnnotation, annotation))
            if ("coco", annotation.get("category_id")) not in self._classes:
                raise DataError(
                    f"{path}: annotation {annotation.get('id')} has category_id {annotation.get('category_id')}, "
                    "which is not among the categories"
                )
        for image in tree["images"]:
            number = _integer(image, "id", path)
            size = _integer(image, "height", path), _integer(image, "width", path)
            self.add_image(number, photos / str(image["file_name"]), *size, of_image.pop(number, []))
        if of_image:
            raise DataError(f"{path}: annotations refer to images {sorted(of_image)[:5]}, which are not in the file")
        self.source = path
        return self

    def add_class(self, source: str, class_id: int, name: str) -> None:
        """Adds a class. `class_id` is its id in annotations of `source`, 1 or more.

        Raises:
            DataError: the id is below 1 or occurs twice.
        """
        if class_id < 1:
            raise DataError(f"class {name!r} has id {class_id}; ids start at 1, because 0 is background")
        if (source, class_id) in self._classes:
            raise DataError(f"class id {class_id} occurs twice: {self._classes[source, class_id]!r} and {name!r}")
        self._classes[source, class_id] = name

    def add_image(self, image_id: int, path: Path, height: int, width: int, annotations: list[CocoAnnotation]) -> None:
        """Adds a photo of `height` x `width` pixels with its COCO annotations.

        Raises:
            DataError: the id occurs twice.
        """
        if image_id in self._image_ids:
            raise DataError(f"image id {image_id} occurs twice, the second time for {path}")
        self._image_ids.add(image_id)
        self.images.append(ImageEntry(image_id, path, height, width, annotations))

    def prepare(self, clean_name: bool = False) -> Self:
        """Numbers the classes 1..K in the order of their ids. `clean_name` cuts names at the first comma."""
        ordered = sorted(self._classes)
        names = [self._classes[key] for key in ordered]
        if clean_name:
            names = [re.split(r",", name, maxsplit=1)[0].strip() for name in names]
        self.class_names = ["background", *names]
        self._class_ids = {key: number for number, key in enumerate(ordered, start=1)}
        return self

    def map_source_class_id(self, source_class_id: str | int) -> int:
        """The class number 1..K of an id of the source: `7` or `"coco.7"`.

        Raises:
            DataError: there is no such class, or `prepare` was not called.
        """
        source, _, number = str(source_class_id).rpartition(".")
        key = (source or "coco", int(number))
        if key not in self._class_ids:
            raise DataError(
                f"unknown class {source_class_id!r}; known: {self._class_ids or 'none, call prepare() first'}"
            )
        return self._class_ids[key]

    def source_class_id(self, number: int) -> int:
        """The source's id of class `number` (1..K)."""
        return next(class_id for (_, class_id), own in self._class_ids.items() if own == number)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def classes(self) -> list[str]:
        """The names of the classes 1..K, without background."""
        return self.class_names[1:]

    def load_image(self, position: int) -> RgbImage:
        """The photo, `[H, W, 3]` uint8 RGB.

        Raises:
            PhotoError: the photo cannot be read.
            DataError: its size differs from that in the annotations file.
        """
        if (cached := self._cache.get(position)) is not None:
            return cached
        entry = self.images[position]
        photo = read_photo(entry.path)
        if photo.shape[:2] != (entry.height, entry.width):
            raise DataError(
                f"{entry.path}: the photo has {photo.shape[0]} x {photo.shape[1]} pixels (height x width), but the "
                f"annotations of image {entry.id} are for {entry.height} x {entry.width}; use the annotated photo"
            )
        self._cache.put(position, photo)
        return photo

    def cache_images(self, budget: int, *, shared: bool = False) -> int:
        """Keeps decoded photos in memory after their first use, up to `budget` bytes. Drops the current cache.

        Args:
            budget: bytes.
            shared: whether processes that load from this dataset use the same memory.

        Returns:
            The number of photos that fit, in the order of `images`.
        """
        sizes = [(entry.height, entry.width) for entry in self.images]
        self._cache = share_photos(sizes, budget) if shared else PhotoCache(budget)
        return fitting(sizes, budget)

    def without_images(self) -> Self:
        """The same dataset without photos and annotations; with the cache, if processes share it."""
        other = copy.copy(self)
        other.images, other._image_ids = [], set()
        return other

    @property
    def shared_files(self) -> list[int]:
        """File descriptors that a process needs to use the shared cache."""
        return self._cache.files

    def load_instances(self, position: int) -> "Instances":
        """The ground truth of a photo. Boxes are tight around the masks. Annotations without a pixel are skipped.

        Raises:
            DataError: a segmentation cannot be read. The message names file and annotation.
        """
        # torch takes a second or more: here, so that a dataset can be read and checked without it
        import torch  # noqa: PLC0415

        from clothseg.instances import Instances, RleMasks, from_xywh  # noqa: PLC0415

        entry = self.images[position]
        size = (entry.height, entry.width)
        runs: list[Rle] = []
        boxes, classes, crowd = [], [], []
        for annotation in entry.annotations:
            try:
                rle = from_segmentation(annotation.get("segmentation"), *size)
            except DataError as error:
                raise DataError(f"{self.source or entry.path}: annotation {annotation.get('id')}: {error}") from error
            box = tight_box(rle)
            if box[2] and box[3]:
                runs.append(rle)
                boxes.append(box)
                classes.append(self.map_source_class_id(annotation["category_id"]))
                crowd.append(bool(annotation.get("iscrowd", 0)))
        return Instances(
            size,
            from_xywh(torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)),
            torch.tensor(classes, dtype=torch.int64),
            RleMasks(runs, size),
            crowd=torch.tensor(crowd, dtype=torch.bool),
        )

    def load_mask(self, position: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Masks `[H, W, N]` bool and classes `[N]` int64 of a photo, with the axes of the Keras implementation."""
        instances = self.load_instances(position)
        return instances.masks.pixels().permute(1, 2, 0).numpy(), instances.classes.numpy()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; create a dataset with `clothseg dataset build`") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as JSON ({error})") from error
    missing = [key for key in ("images", "annotations", "categories") if not isinstance(tree, dict) or key not in tree]
    if missing:
        raise DataError(f"{path}: not a COCO instances file; it has no {', '.join(missing)}")
    return cast(dict[str, Any], tree)


def _integer(row: dict[str, Any], key: str, path: Path) -> int:
    value = row.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise DataError(f"{path}: {key} must be an integer, found {value!r} in {str(row)[:120]}")
    return value
