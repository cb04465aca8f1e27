"""Label maps in the layout of Pascal VOC: `JPEGImages`, `SegmentationClass`, `SegmentationObject`.

Both maps are PNG files with a palette: 0 is background, 255 is void. With more than 254 classes or objects on a photo
they have 16 bits of grey, and void is 65535.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clothseg.dataset.exporting.options import ExportOptions
from clothseg.dataset.exporting.photos import ExportPhoto, Losses, copy_photo
from clothseg.dataset.importing.label_maps import is_reserved, voc_colour
from clothseg.errors import DataError
from clothseg.files import atomic_file, atomic_write
from clothseg.instances import decode, from_box

_VOID, _WIDE_VOID = 255, 65535
Grid = NDArray[np.uint16]


def write_label_map_split(
    folder: Path, split: str, photos: Iterable[ExportPhoto], classes: Sequence[str], options: ExportOptions,
    losses: Losses,
) -> tuple[int, int]:  # fmt: skip
    """Writes one split, and its list in `ImageSets/Segmentation`. Returns the numbers of photos and objects."""
    names: list[str] = []
    objects = 0
    for photo in photos:
        copy_photo(photo, folder / "JPEGImages", hard_link=options.hard_links)
        class_map, object_map, drawn = _draw(photo, losses)
        stem = Path(photo.name).stem
        _save(class_map, folder / "SegmentationClass" / f"{stem}.png", wide=len(classes) >= _VOID)
        _save(object_map, folder / "SegmentationObject" / f"{stem}.png", wide=drawn >= _VOID)
        names.append(stem)
        objects += drawn
    lists = folder / "ImageSets" / "Segmentation" / f"{split}.txt"
    atomic_write(lists, "".join(f"{name}\n" for name in names))
    return len(names), objects


def require_class_names(classes: Sequence[str]) -> None:
    """Refuses names that mean no class in `class_names.txt`.

    Raises:
        DataError: there is one.
    """
    if wrong := next((name for name in classes if is_reserved(name)), None):
        raise DataError(
            f"label maps cannot have a class {wrong!r}, because tools read this name as background or as pixels to "
            "ignore; rename the class, or use --format coco or yolo"
        )


def write_class_names(folder: Path, classes: Sequence[str]) -> None:
    """Writes the class of each value: `class_names.txt`, one name per line; background is the first."""
    atomic_write(folder / "class_names.txt", "".join(f"{name}\n" for name in ("_background_", *classes)))


def _draw(photo: ExportPhoto, losses: Losses) -> tuple[Grid, Grid, int]:
    """The label maps of classes and objects, and the number of objects in them. Later objects cover earlier ones."""
    object_map = np.zeros(photo.size, dtype=np.uint16)
    covered = np.zeros(photo.size, dtype=np.bool_)
    objects = [found for found in photo.objects if not found.crowd and found.box is None]
    for number, found in enumerate(objects, start=1):
        mask = decode(found.mask)
        covered |= mask & (object_map > 0)
        object_map[mask] = number
    losses.counts["covered_pixels"] += int(covered.sum())
    areas = np.bincount(object_map.ravel(), minlength=len(objects) + 1)[1:]
    full = np.array([int(decode(found.mask).sum()) for found in objects], dtype=np.int64)
    losses.counts["hidden_objects"] += int((areas == 0).sum())
    losses.counts["covered_objects"] += int(((areas < full) & (areas > 0)).sum())
    numbers = np.zeros(len(objects) + 1, dtype=np.uint16)  # those that are left, from 1 without gaps
    numbers[1:][areas > 0] = np.arange(1, int((areas > 0).sum()) + 1)
    categories = np.array([0, *(found.category for found in objects)], dtype=np.uint16)
    class_map, object_map = categories[object_map], numbers[object_map]
    for found in photo.objects:
        if found.crowd or found.box is not None:
            losses.counts["crowds_as_void" if found.crowd else "boxes_as_void"] += 1
            area = decode(found.mask if found.box is None else from_box(found.box, photo.size))
            free = area & (object_map == 0)
            object_map[free] = class_map[free] = _WIDE_VOID
    return class_map, object_map, int((areas > 0).sum())


def _save(grid: Grid, path: Path, *, wide: bool) -> None:
    if wide:
        picture = Image.fromarray(grid)
    else:
        picture = Image.fromarray(np.where(grid == _WIDE_VOID, _VOID, grid).astype(np.uint8))
        picture.putpalette([part for value in range(256) for part in voc_colour(value)])
    with atomic_file(path) as temporary:
        picture.save(temporary, format="PNG")
