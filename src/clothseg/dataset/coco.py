"""`CocoLikeDataset`: a dataset in COCO format, with the methods of the report's section 7."""

import copy
import re
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from clothseg.dataset.objects import LabelledObjects, labelled_objects
from clothseg.dataset.photo_cache import PhotoCache, fitting, share_photos
from clothseg.dataset.photo_split import PhotoSplit
from clothseg.dataset.reading import CocoFile, Correction, choose_split, find_layout, read_coco_file
from clothseg.errors import DataError
from clothseg.instances import CocoAnnotation
from clothseg.instances.class_names import wrong_class_names
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
        folder: where it was loaded from, or None.
        corrections: what the reader corrected or left out in that file.
        photo_split: the split of the file that this dataset is one side of, or None.
        left_out: for each photo that `readable` left out, by its id, the reason.
        unlabelled: how many photos at the end have no labels of their own, as `fit` makes them of `unlabelled`.
    """

    def __init__(self) -> None:
        self.images: list[ImageEntry] = []
        self.class_names: list[str] = []
        self.source: Path | None = None
        self.folder: Path | None = None
        self.corrections: tuple[Correction, ...] = ()
        self.photo_split: PhotoSplit | None = None
        self.left_out: dict[int, str] = {}
        self.unlabelled = 0
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
        """Reads one split of a dataset: clothseg's own, or an export of a labelling tool in COCO's format.

        What can be computed from the rest is corrected, see `corrections`; what cannot be used is refused. The rules
        are those of `reading.RULES`.

        Args:
            folder: the dataset or its annotations file; or a folder of photos if `annotations` is given.
            split: the name of a split. `val` also finds `valid`, `validation` and `val2017`.
            annotations: a COCO instances file in another place.

        Raises:
            DataError: there is no such split, or the file is broken or has a row that cannot be used.
        """
        folder = Path(folder)
        if annotations is None:
            files = choose_split(find_layout(folder), split)
        else:
            photos = (folder / "images", folder) if (folder / "images").is_dir() else (folder,)
            files = choose_split(find_layout(Path(annotations), photos), Path(annotations).stem)
        self._add(read_coco_file(files.annotations, files.photos))
        self.source, self.folder = files.annotations, folder if annotations is None else files.annotations
        return self

    def _add(self, file: CocoFile) -> None:
        for category in file.categories:
            self._add_class("coco", category["id"], category["name"])
        of_image: dict[int, list[CocoAnnotation]] = defaultdict(list)
        for annotation in file.annotations:
            of_image[annotation["image_id"]].append(annotation)
        for image in file.images:
            number, size = image["id"], (image["height"], image["width"])
            self.add_image(number, file.paths[number], *size, of_image.get(number, []))
        self.corrections += file.corrections

    def add_class(self, source: str, class_id: int, name: str) -> None:
        """Adds a class. `class_id` is its id in annotations of `source`, 1 or more.

        Raises:
            DataError: the id is below 1 or occurs twice.
        """
        if class_id < 1:
            raise DataError(f"class {name!r} has id {class_id}; ids start at 1, because 0 is background")
        self._add_class(source, class_id, name)

    def _add_class(self, source: str, class_id: int, name: str) -> None:
        """Adds a class whose id may be 0: a file may count from 0, see `reading.RULES`."""
        if (source, class_id) in self._classes:
            raise DataError(f"class id {class_id} occurs twice: {self._classes[source, class_id]!r} and {name!r}")
        self._classes[source, class_id] = name

    def add_image(
        self, image_id: int, path: Path | str, height: int, width: int, annotations: list[CocoAnnotation]
    ) -> None:
        """Adds a photo of `height` x `width` pixels with its COCO annotations.

        Raises:
            DataError: the id occurs twice.
        """
        if image_id in self._image_ids:
            raise DataError(f"image id {image_id} occurs twice, the second time for {path}")
        self._image_ids.add(image_id)
        self.images.append(ImageEntry(image_id, Path(path), height, width, annotations))

    def prepare(self, clean_name: bool = False) -> Self:
        """Numbers the classes 1..K in the order of their ids. `clean_name` cuts names at the first comma.

        Raises:
            DataError: two classes have the same name.
        """
        ordered = sorted(self._classes)
        names = [self._classes[key] for key in ordered]
        if clean_name:
            names = [re.split(r",", name, maxsplit=1)[0].strip() for name in names]
        if wrong := wrong_class_names(names):
            raise DataError(f"{self.source or 'the dataset'}: {wrong}")
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
    def labelled(self) -> int:
        """How many photos, at the start, have labels of their own."""
        return len(self.images) - self.unlabelled

    def count_objects(self) -> dict[int, int]:
        """The number of objects of each class 1..K on the photos; crowds do not count."""
        counts = dict.fromkeys(range(1, len(self.classes) + 1), 0)
        for row in (row for entry in self.images for row in entry.annotations if not row.get("iscrowd")):
            counts[self.map_source_class_id(row["category_id"])] += 1
        return counts

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

    def only(self, image_ids: Collection[int]) -> Self:
        """The same dataset with only these photos, for example one side of a split."""
        wanted, other = set(image_ids), copy.copy(self)
        other.images = [entry for entry in self.images if entry.id in wanted]
        other.unlabelled = sum(entry.id in wanted for entry in self.images[self.labelled :])
        other._image_ids = {entry.id for entry in other.images}  # noqa: SLF001 - of a copy of this dataset
        other._cache = PhotoCache()  # noqa: SLF001
        return other

    def without_images(self) -> Self:
        """The same dataset without photos and annotations; with the cache, if processes share it."""
        other = copy.copy(self)
        other.images, other._image_ids = [], set()  # noqa: SLF001
        return other

    @property
    def shared_files(self) -> list[int]:
        """File descriptors that a process needs to use the shared cache."""
        return self._cache.files

    def load_objects(self, position: int) -> LabelledObjects:
        """The ground truth of a photo as arrays; see `load_instances`.

        Raises:
            DataError: a segmentation cannot be read. The message names file and annotation.
        """
        entry = self.images[position]
        rows = ((self.map_source_class_id(row["category_id"]), row) for row in entry.annotations)
        return labelled_objects(rows, (entry.height, entry.width), self.source or entry.path)

    def load_instances(self, position: int) -> "Instances":
        """The ground truth of a photo. Boxes are tight around the masks. Annotations without a pixel are skipped.

        An object without a mask has the box of its annotation, cut at the edges of the photo, and `has_mask` False.

        Raises:
            DataError: a segmentation cannot be read. The message names file and annotation.
        """
        # torch takes a second or more: here, so that a dataset can be read, checked and drawn without it
        import torch  # noqa: PLC0415

        from clothseg.instances import Instances, RleMasks  # noqa: PLC0415

        found = self.load_objects(position)
        return Instances(
            found.size,
            torch.from_numpy(found.boxes),
            torch.from_numpy(found.classes),
            RleMasks(list(found.masks), found.size),
            crowd=torch.from_numpy(found.crowd),
            has_mask=torch.from_numpy(found.has_mask),
        )

    def load_mask(self, position: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Masks `[H, W, N]` bool and classes `[N]` int64 of a photo, with the axes of the Keras implementation."""
        instances = self.load_instances(position)
        return instances.masks.pixels().permute(1, 2, 0).numpy(), instances.classes.numpy()
