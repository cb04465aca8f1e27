"""One photo with its rows to its annotations: orientation, masks on its grid, regions to ignore.

Traps of the format: masks seldom have the size of their photo; masks of one photo may overlap; many boxes have no mask;
and only the photo itself has its width and height.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from clothseg.dataset.duplicates import perceptual_hash
from clothseg.errors import DataError, PhotoError
from clothseg.files import atomic_write
from clothseg.instances import encode, mask_area, read_mask_png, resize_mask
from clothseg.openimages.archives import MaskArchive, MissingMaskError
from clothseg.openimages.build.annotation import (
    BoolMask,
    ConvertedAnnotation,
    as_polygons,
    box_region,
    make_annotation,
    make_box_annotation,
)
from clothseg.openimages.build.matching import match_boxes
from clothseg.openimages.build.options import BoxRule
from clothseg.openimages.build.orientation import OrientedPhoto, Size, fits, orient_photo, turn_box
from clothseg.openimages.tables import UNKNOWN, Box, BoxRow, Flags, MaskRow
from clothseg.photos import photo_exists


@dataclass(frozen=True)
class ConvertSettings:
    """Everything that the conversion of a photo depends on, except its files and rows.

    Attributes:
        source: folder of the Open Images files.
        split: of the source.
        photos: folder of its photos.
        categories: category id by class id; several classes can share one.
        names: class name by class id.
        boxes_without_mask: see `BuildOptions`.
        max_size: maximum of the longer side in pixels, or None.
        upright: turn photos and masks by the `Rotation` of the image list.
        polygons: tolerance of polygons in pixels, or None for RLE.
        hashed: compute a perceptual hash of each photo.
    """

    source: Path
    split: str
    photos: Path
    categories: Mapping[str, int]
    names: Mapping[str, str]
    boxes_without_mask: BoxRule
    max_size: int | None
    upright: bool
    polygons: float | None
    hashed: bool


@dataclass(frozen=True)
class PhotoJob:
    """A photo, its rows of the selected classes, and its `Rotation`."""

    image_id: str
    masks: Sequence[MaskRow]
    boxes: Sequence[BoxRow]
    rotation: int | None


@dataclass
class ConvertedPhoto:
    """The result for one photo. Lists have plain values, ready for JSON.

    Attributes:
        image_id: of the photo.
        kept: whether it is in the dataset.
        height, width: final size in pixels; 0 if the photo cannot be read.
        changed: what was done to the photo: `turned`, `resized`.
        hash: perceptual hash, or empty.
        annotations: COCO annotations without ids.
        dropped: (reason, box id, class id, detail) of each mask row without an annotation.
        boxes_without_mask: (class id, box, flags) of each box without a mask.
        masks_without_box: number of masks without a row in the box list.
    """

    image_id: str
    kept: bool = False
    height: int = 0
    width: int = 0
    changed: list[str] = field(default_factory=list)
    hash: str = ""
    annotations: list[ConvertedAnnotation] = field(default_factory=list)
    dropped: list[tuple[str, str, str, str]] = field(default_factory=list)
    boxes_without_mask: list[tuple[str, Box, Flags]] = field(default_factory=list)
    masks_without_box: int = 0

    def drop(self, reason: str, row: MaskRow, detail: str) -> None:
        """Records that a mask row gives no annotation."""
        self.dropped.append((reason, row.box_id, row.mid, detail))


class Clock:
    """Seconds by kind of work."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, work: str) -> Iterator[None]:
        """Counts the time inside the context as `work`."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[work] += time.perf_counter() - begun


def convert_photo(
    job: PhotoJob, archive: MaskArchive, settings: ConvertSettings, images: Path, clock: Clock
) -> ConvertedPhoto:
    """Converts one photo. If it is kept, its file is written to the folder `images`.

    Missing or broken photos, masks and rows raise nothing; the result lists them.
    """
    result = ConvertedPhoto(job.image_id)
    rows = _without_repeats(job, result)
    matched, boxes = match_boxes(job.boxes, rows)
    result.boxes_without_mask = [(box.mid, box.box, box.flags) for box in boxes]
    result.masks_without_box = sum(box is None for box in matched)
    path = settings.photos / f"{job.image_id}.jpg"
    masks = _read_masks(rows, archive, settings, result, clock)
    try:
        with clock("photo"):
            sizes = [mask.shape for mask in masks.values()]
            photo = orient_photo(path, sizes, job.rotation, upright=settings.upright, max_size=settings.max_size)
    except PhotoError as error:
        reason = "unreadable_photo" if photo_exists(path) else "missing_photo"
        detail = _without_source(error, settings)
        lost = [(row.box_id, row.mid) for row in rows] or [("", "")]
        repeats = [d for d in result.dropped if d[0] == "duplicate_row"]
        result.dropped = [(reason, box_id, mid, detail) for box_id, mid in lost] + repeats
        return result
    result.height, result.width = photo.pixels.shape[:2]
    result.changed = list(photo.changed)
    if settings.boxes_without_mask == "drop" and _drop_photo(rows, matched, boxes, result):
        return result
    for number, mask in masks.items():
        _add_mask(rows[number], matched[number], mask, photo, settings, result, clock)
    learn = settings.boxes_without_mask == "learn"
    if learn or settings.boxes_without_mask == "crowd":
        _add_boxes(boxes, photo, settings, result, learn=learn)
    # A photo that lost all its masks shows a garment, so it is no negative.
    known = job.masks or (learn and job.boxes)
    result.kept = any(not a["iscrowd"] for a in result.annotations) or not known
    if result.kept:
        with clock("write"):
            data = photo.jpeg()
            atomic_write(images / f"{job.image_id}.jpg", path.read_bytes() if data is None else data)
    if settings.hashed and result.kept:
        with clock("hash"):
            result.hash = perceptual_hash(photo.pixels)
    return result


def _without_source(detail: object, settings: ConvertSettings) -> str:
    """The text without the path of the source on this machine."""
    prefix = str(settings.source / "_")[:-1]  # OSError shows paths by `repr`, on Windows with doubled backslashes
    return str(detail).replace(prefix, "").replace(repr(prefix)[1:-1], "")


def _without_repeats(job: PhotoJob, result: ConvertedPhoto) -> list[MaskRow]:
    rows: dict[tuple[str, str], MaskRow] = {}
    for row in job.masks:
        if rows.setdefault((row.box_id, row.mask_path), row) is not row:
            result.drop("duplicate_row", row, row.mask_path)
    return list(rows.values())


def _read_masks(
    rows: Sequence[MaskRow], archive: MaskArchive, settings: ConvertSettings, result: ConvertedPhoto, clock: Clock
) -> dict[int, BoolMask]:
    """The readable masks, by the number of their row."""
    masks = {}
    for number, row in enumerate(rows):
        try:
            with clock("read"):
                data = archive.read(row.mask_path)
            with clock("decode PNG"):
                masks[number] = read_mask_png(data)
        except MissingMaskError as error:
            result.drop("missing_mask", row, _without_source(error, settings))
        except DataError as error:
            detail = _without_source(error, settings)
            result.drop("unreadable_mask", row, detail if row.mask_path in detail else f"{row.mask_path}: {detail}")
    return masks


def _drop_photo(
    rows: Sequence[MaskRow], matched: Sequence[BoxRow | None], boxes: Sequence[BoxRow], result: ConvertedPhoto
) -> bool:
    """Drops all masks of a photo that has boxes without a mask or a group. Returns whether it has."""
    groups = any(box is not None and box.is_group for box in matched)
    if not boxes and not groups:
        return False
    detail = f"{len(boxes)} boxes without a mask" if boxes else "a box around a group"
    already = {(d[1], d[2]) for d in result.dropped if d[0] != "duplicate_row"}
    for row in rows:
        if (row.box_id, row.mid) not in already:
            result.drop("box_without_mask", row, detail)
    return True


def _add_mask(
    row: MaskRow,
    box: BoxRow | None,
    stored: BoolMask,
    photo: OrientedPhoto,
    settings: ConvertSettings,
    result: ConvertedPhoto,
    clock: Clock,
) -> None:
    if not fits((stored.shape[0], stored.shape[1]), photo.drawn_on):
        sizes = "{} x {} pixels (height x width), the photo {} x {}".format(*stored.shape, *photo.drawn_on)
        result.drop("other_shape", row, f"{row.mask_path}: {sizes}")
        return
    group = box is not None and box.is_group
    if group and settings.boxes_without_mask == "ignore":
        result.drop("group", row, f"{row.mask_path}: the box is around a group")
        return
    size: Size = (photo.pixels.shape[0], photo.pixels.shape[1])
    with clock("resize"):
        mask = resize_mask(np.rot90(stored, photo.quarter_turns), size)
    with clock("encode"):
        rle = encode(mask)
        area = mask_area(rle)
    if not area:
        result.drop("empty_mask", row, row.mask_path)
        return
    flags = box.flags if box is not None else UNKNOWN
    ids = {"box_id": row.box_id, "mask_path": row.mask_path}
    if settings.polygons is None or group:
        result.annotations.append(make_annotation(rle, row.mid, flags, settings.categories, crowd=group, **ids))
        return
    with clock("polygons"):
        segmentation, drawn, iou = as_polygons(mask, rle, settings.polygons)
    annotation = make_annotation(drawn, row.mid, flags, settings.categories, crowd=False, **ids)
    result.annotations.append({**annotation, "segmentation": segmentation, "polygon_iou": iou})


def _add_boxes(
    boxes: Sequence[BoxRow],
    photo: OrientedPhoto,
    settings: ConvertSettings,
    result: ConvertedPhoto,
    *,
    learn: bool,
) -> None:
    """Adds boxes without a mask: as objects, or as crowds, whose pixels count neither as the class nor as background.

    Boxes around groups are crowds in any case.
    """
    size: Size = (photo.pixels.shape[0], photo.pixels.shape[1])
    for box in boxes:
        sides = turn_box(box.box, photo.quarter_turns)
        if learn and not box.is_group:
            result.annotations.append(make_box_annotation(sides, size, box, settings.categories))
        else:
            rle = box_region(sides, size)
            result.annotations.append(make_annotation(rle, box.mid, box.flags, settings.categories, crowd=True))
