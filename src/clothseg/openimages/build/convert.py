"""One photo with its rows -> what goes into the data set: the way up, the masks on its grid, the regions to ignore.

Traps of the format that this file answers to: masks seldom have their photo's size, those of one photo may overlap,
many boxes have no mask though they show the class, and width and height of a photo stand nowhere but in the photo.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from clothseg.dataset.duplicates import perceptual_hash
from clothseg.errors import DataError, PhotoError
from clothseg.files import atomic_write
from clothseg.instances import (
    Rle,
    encode,
    from_polygons,
    from_segmentation,
    mask_area,
    mask_iou,
    read_mask_png,
    resize_mask,
    tight_box,
    to_polygons,
)
from clothseg.openimages.archives import MaskArchive, MissingMaskError
from clothseg.openimages.build.matching import match_boxes
from clothseg.openimages.build.options import BoxesWithoutMask
from clothseg.openimages.build.orientation import OrientedPhoto, Size, fits, orient_photo, turn_box
from clothseg.openimages.tables import FLAGS, UNKNOWN, Box, BoxRow, Flags, MaskRow

BoolMask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Settings:
    """What the conversion of a photo depends on, besides its files and rows.

    Attributes:
        source: folder of the Open Images files.
        split: of the source.
        photos: folder of its photos.
        categories: category id by class id; several classes may share one.
        names: class name by class id.
        boxes_without_mask: how to treat boxes without a mask and group boxes, see `BuildOptions`.
        max_size: longest side of photos, or None.
        upright: turn photos and masks by the image list's rotation.
        polygons: tolerance in pixels of polygons, or None for RLE.
        hashed: take a perceptual hash of each photo.
    """

    source: Path
    split: str
    photos: Path
    categories: Mapping[str, int]
    names: Mapping[str, str]
    boxes_without_mask: BoxesWithoutMask
    max_size: int | None
    upright: bool
    polygons: float | None
    hashed: bool


@dataclass(frozen=True)
class PhotoJob:
    """A photo and its rows of the chosen classes."""

    image_id: str
    masks: Sequence[MaskRow]
    boxes: Sequence[BoxRow]
    rotation: int | None


@dataclass
class Converted:
    """What came of a photo. Lists hold plain values, ready for JSON.

    Attributes:
        image_id: of the photo.
        kept: whether it goes into the data set.
        height, width: final size; 0 if it could not be read.
        changed: what was done to the photo.
        hash: perceptual, or empty.
        annotations: COCO annotations without their ids.
        dropped: (reason, box id, class id, detail) of each mask row that gave no annotation.
        unmasked: (class id, box, flags) of each box without mask.
        boxless: masks that no box of the list stands for.
    """

    image_id: str
    kept: bool = False
    height: int = 0
    width: int = 0
    changed: list[str] = field(default_factory=list)
    hash: str = ""
    annotations: list[dict[str, Any]] = field(default_factory=list)
    dropped: list[tuple[str, str, str, str]] = field(default_factory=list)
    unmasked: list[tuple[str, Box, Flags]] = field(default_factory=list)
    boxless: int = 0


class Clock:
    """Seconds by kind of work."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, work: str) -> Iterator[None]:
        """Count what happens inside as `work`."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[work] += time.perf_counter() - begun


def convert_photo(job: PhotoJob, archive: MaskArchive, settings: Settings, images: Path, clock: Clock) -> Converted:
    """Convert one photo; if it is kept, its file is written to the folder `images`.

    Photos, masks and rows that are missing or wrong are told in the answer; nothing is raised for them.
    """
    result = Converted(job.image_id)
    rows = _without_repeats(job, result)
    matched, unmasked = match_boxes(job.boxes, rows)
    result.unmasked = [(box.mid, box.box, box.flags) for box in unmasked]
    result.boxless = sum(box is None for box in matched)
    path = settings.photos / f"{job.image_id}.jpg"
    pictures = _read_masks(rows, archive, settings, result, clock)
    try:
        with clock("photo"):
            sizes = [picture.shape for picture in pictures.values()]
            standing = orient_photo(path, sizes, job.rotation, upright=settings.upright, max_size=settings.max_size)
    except PhotoError as error:
        reason = "unreadable_photo" if path.exists() else "missing_photo"
        told = _told(error, settings)
        lost = [("", "")] if not rows else [(row.box_id, row.mid) for row in rows]
        result.dropped = [(reason, box_id, mid, told) for box_id, mid in lost] + [
            d for d in result.dropped if d[0] == "duplicate_row"
        ]
        return result
    result.height, result.width = standing.pixels.shape[:2]
    result.changed = list(standing.changed)
    if settings.boxes_without_mask == "drop" and _drop_for_unmasked(rows, matched, unmasked, result):
        return result
    for number, row in enumerate(rows):
        if number in pictures:
            _add_mask(row, matched[number], pictures[number], standing, settings, result, clock)
    # A photo that lost all its masks shows a garment: it is no negative.
    result.kept = any(not a["iscrowd"] for a in result.annotations) or not job.masks
    if result.kept:
        if settings.boxes_without_mask == "crowd":
            _add_regions(unmasked, standing, settings, result)
        with clock("write"):
            data = standing.jpeg()
            atomic_write(images / f"{job.image_id}.jpg", path.read_bytes() if data is None else data)
    if settings.hashed and result.kept:
        with clock("hash"):
            result.hash = perceptual_hash(standing.pixels)
    return result


def _told(detail: object, settings: Settings) -> str:
    """Without the place where the source lies on this machine."""
    prefix = str(settings.source / "_")[:-1]  # OSError shows paths by `repr`, on Windows with doubled backslashes
    return str(detail).replace(prefix, "").replace(repr(prefix)[1:-1], "")


def _without_repeats(job: PhotoJob, result: Converted) -> list[MaskRow]:
    rows: dict[tuple[str, str], MaskRow] = {}
    for row in job.masks:
        if rows.setdefault((row.box_id, row.mask_path), row) is not row:
            result.dropped.append(("duplicate_row", row.box_id, row.mid, row.mask_path))
    return list(rows.values())


def _read_masks(
    rows: Sequence[MaskRow], archive: MaskArchive, settings: Settings, result: Converted, clock: Clock
) -> dict[int, BoolMask]:
    """The masks that can be read, by the number of their row."""
    found = {}
    for number, row in enumerate(rows):
        try:
            with clock("read"):
                data = archive.read(row.mask_path)
            with clock("decode PNG"):
                found[number] = read_mask_png(data)
        except MissingMaskError as error:
            result.dropped.append(("missing_mask", row.box_id, row.mid, _told(error, settings)))
        except DataError as error:
            told = _told(error, settings)
            told = told if row.mask_path in told else f"{row.mask_path}: {told}"
            result.dropped.append(("unreadable_mask", row.box_id, row.mid, told))
    return found


def _drop_for_unmasked(
    rows: Sequence[MaskRow], matched: Sequence[BoxRow | None], unmasked: Sequence[BoxRow], result: Converted
) -> bool:
    groups = any(box is not None and box.is_group for box in matched)
    if not unmasked and not groups:
        return False
    told = f"{len(unmasked)} boxes without mask" if unmasked else "a box that stands for a group"
    gone = {(d[1], d[2]) for d in result.dropped if d[0] != "duplicate_row"}
    result.dropped += [("unmasked_box", row.box_id, row.mid, told) for row in rows if (row.box_id, row.mid) not in gone]
    return True


def _add_mask(
    row: MaskRow,
    box: BoxRow | None,
    picture: BoolMask,
    standing: OrientedPhoto,
    settings: Settings,
    result: Converted,
    clock: Clock,
) -> None:
    if not fits((picture.shape[0], picture.shape[1]), standing.drawn_on):
        told = "{} x {} pixels (height x width), the photo {} x {}".format(*picture.shape, *standing.drawn_on)
        result.dropped.append(("other_shape", row.box_id, row.mid, f"{row.mask_path}: {told}"))
        return
    group = box is not None and box.is_group
    if group and settings.boxes_without_mask == "ignore":
        result.dropped.append(("group", row.box_id, row.mid, f"{row.mask_path}: the box stands for a group"))
        return
    size: Size = (standing.pixels.shape[0], standing.pixels.shape[1])
    with clock("resize"):
        mask = resize_mask(np.rot90(picture, standing.quarter_turns), size)
    with clock("encode"):
        rle = encode(mask)
        area = mask_area(rle)
    if not area:
        result.dropped.append(("empty_mask", row.box_id, row.mid, row.mask_path))
        return
    segmentation: Any = rle
    extra: dict[str, Any] = {}
    if settings.polygons is not None and not group:
        with clock("polygons"):
            segmentation, rle, extra = _as_polygons(mask, rle, settings.polygons)
        area = mask_area(rle)
    flags = box.flags if box is not None else UNKNOWN
    result.annotations.append(
        _annotation(row.mid, rle, segmentation, group, flags, settings)
        | {"box_id": row.box_id, "mask_path": row.mask_path}
        | extra
    )


def _as_polygons(mask: BoolMask, rle: Rle, tolerance: float) -> tuple[Any, Rle, dict[str, Any]]:
    """Polygons, what they draw, and how well that agrees. Without any polygon left, the mask stays an RLE."""
    polygons = to_polygons(mask, tolerance)
    if not polygons:
        return rle, rle, {"polygon_iou": 1.0}
    drawn = from_polygons(polygons, *mask.shape)
    if not mask_area(drawn):
        return rle, rle, {"polygon_iou": 1.0}
    return polygons, drawn, {"polygon_iou": round(float(mask_iou([drawn], [rle])[0, 0]), 6)}


def _add_regions(boxes: Sequence[BoxRow], standing: OrientedPhoto, settings: Settings, result: Converted) -> None:
    """Boxes without mask, as crowds: their pixels count neither as the class nor as background."""
    height, width = standing.pixels.shape[:2]
    for box in boxes:
        x1, y1, x2, y2 = turn_box(box.box, standing.quarter_turns)
        left, right = _pixels(x1, x2, width)
        top, bottom = _pixels(y1, y2, height)
        rle = _rectangle(left, top, right, bottom, (height, width))
        annotation = _annotation(box.mid, rle, rle, True, box.flags, settings)
        result.annotations.append(annotation | {"box_id": "", "mask_path": ""})


def _pixels(low: float, high: float, length: int) -> tuple[int, int]:
    """First pixel and the one after the last; at least one pixel, inside the photo."""
    first = min(max(round(min(low, high) * length), 0), length - 1)
    return first, max(min(round(max(low, high) * length), length), first + 1)


def _rectangle(left: int, top: int, right: int, bottom: int, size: Size) -> Rle:
    height, width = size
    tall, gap = bottom - top, height - (bottom - top)
    runs = [left * height + top, *([tall, gap] * (right - left))]
    runs[-1] = (width - right) * height + (height - bottom)
    return from_segmentation({"size": [height, width], "counts": runs}, height, width)


def _annotation(mid: str, rle: Rle, segmentation: Any, crowd: bool, flags: Flags, settings: Settings) -> dict[str, Any]:
    return {
        "category_id": settings.categories[mid],
        "segmentation": segmentation,
        "area": mask_area(rle),
        "bbox": list(tight_box(rle)),
        "iscrowd": int(crowd),
        "mid": mid,
    } | {name.lower(): flag for name, flag in zip(FLAGS, flags, strict=True)}
