"""Pictures of findings: the photo with the annotation's box in black and its mask or polygon in white."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clothseg.dataset.doctor.examine import Diagnosis
from clothseg.dataset.doctor.findings import Finding, Location
from clothseg.dataset.doctor.rows import AnnotationRow, ImageRow
from clothseg.dataset.reading.values import numbers
from clothseg.errors import DataError, PhotoError
from clothseg.instances import decode, from_segmentation
from clothseg.photos import RgbImage, read_photo
from clothseg.pictures.embed import shrink
from clothseg.pictures.outlines import Box, draw_lines, mask_contours

_AREA = 160_000  # pixels of a picture
NOT_VISIBLE = frozenset(
    {
        *("missing_photo", "unreadable_photo", "id_not_whole", "category_below_one", "id_below_one", "missing_figure"),
        *("number_form", "size_from_photo", "photo_name", "no_own_id", "null_row", "repeated_row"),
    }
)
"""Kinds that a picture cannot show."""


@dataclass(frozen=True)
class FindingPicture:
    """A finding with its picture, `[H, W, 3]` uint8."""

    finding: Finding
    picture: RgbImage


def worst_findings(diagnosis: Diagnosis, count: int = 24, per_kind: int = 3) -> list[FindingPicture]:
    """Pictures of at most `count` findings, errors first, at most `per_kind` of each kind."""
    index = RowIndex(diagnosis)
    shown: list[FindingPicture] = []
    for kind, findings in diagnosis.by_kind().items():
        if kind in NOT_VISIBLE:
            continue
        drawn = 0
        for finding in findings[: 4 * per_kind]:  # some cannot be drawn; the limit saves time
            if drawn == per_kind or len(shown) == count:
                break
            if (picture := index.draw(finding)) is not None:
                shown.append(FindingPicture(finding, picture))
                drawn += 1
    return shown


class RowIndex:
    """Finds the rows of a location."""

    def __init__(self, diagnosis: Diagnosis) -> None:
        self.images = {(s.name, row.id): row for s in diagnosis.splits for row in reversed(s.images)}
        self.image_rows = {(r.location.file, r.location.row): (s.name, r) for s in diagnosis.splits for r in s.images}
        self.rows = {(r.location.file, r.location.row): (s.name, r) for s in diagnosis.splits for r in s.annotations}
        self.of_image: dict[tuple[str, Any], list[AnnotationRow]] = {}
        for split in diagnosis.splits:
            for row in split.annotations:
                self.of_image.setdefault((split.name, row.image_id), []).append(row)

    def draw(self, finding: Finding) -> RgbImage | None:
        """Draws the photo of a finding, and beside it the second photo if the finding has one."""
        first, second = self.look_up(finding.location), self.look_up(finding.other)
        if first is None:
            return None
        image, rows = first
        if second is not None and second[0] is image:
            return _drawn(image, [*rows, *second[1]])
        pictures = [p for p in (_drawn(image, rows), _drawn(*second) if second else None) if p is not None]
        return _side_by_side(pictures) if pictures else None

    def look_up(self, location: Location | None) -> tuple[ImageRow, list[AnnotationRow]] | None:
        """The photo of a location, and its annotation or all of them; None if it is not on a photo."""
        if location is None:
            return None
        key = (location.file, location.row)
        if location.section == "images" and key in self.image_rows:
            name, image = self.image_rows[key]
            return image, self.of_image.get((name, image.id), [])
        if location.section == "annotations" and key in self.rows:
            name, row = self.rows[key]
            found = self.images.get((name, row.image_id))
            return (found, [row]) if found is not None else None
        return None


def _drawn(image: ImageRow, rows: Sequence[AnnotationRow]) -> RgbImage | None:
    if image.path is None:
        return None
    try:
        photo = read_photo(image.path)
    except (PhotoError, OSError, ValueError):
        return None
    small = shrink(photo, _AREA)
    scale = small.shape[1] / photo.shape[1]
    boxes = [box for row in rows if (box := row_box(row, scale)) is not None]
    return draw_lines(small, boxes, [edge * scale for row in rows for edge in row_edges(row)])


def row_box(row: AnnotationRow, scale: float = 1.0) -> Box | None:
    """The box of an annotation, x1 y1 x2 y2 in pixels times `scale`; None if it has none."""
    values = numbers(row.raw.get("bbox"), 4)
    if values is None:
        return None
    x, y, width, height = (v * scale for v in values)
    return x, y, x + width, y + height


def row_edges(row: AnnotationRow) -> list[NDArray[Any]]:
    """The contours of a segmentation, also of a wrong one: polygons as they are, an RLE with its own size."""
    value = row.raw.get("segmentation")
    if isinstance(value, list):
        found = [numbers(polygon) for polygon in value]
        return [np.reshape(p, (-1, 2)) for p in found if p and len(p) % 2 == 0]
    size = numbers(value.get("size"), 2) if isinstance(value, dict) else None
    if size is None or size[0] * size[1] > 1e8:
        return []
    try:
        rle = from_segmentation(value, int(size[0]), int(size[1]))
        return mask_contours(decode(rle))
    except (DataError, ValueError, TypeError, OverflowError):
        return []


def _side_by_side(pictures: Sequence[RgbImage]) -> RgbImage:
    if len(pictures) == 1:
        return pictures[0]
    height = max(p.shape[0] for p in pictures)
    padded = [np.pad(p, ((0, height - p.shape[0]), (0, 6), (0, 0)), constant_values=255) for p in pictures]
    return np.concatenate(padded, axis=1)[:, :-6]
