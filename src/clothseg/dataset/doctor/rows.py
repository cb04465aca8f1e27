"""Rows of COCO files, as the reader gives them, with their locations."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clothseg.dataset.doctor.findings import Location
from clothseg.dataset.reading import rows
from clothseg.dataset.reading.values import Id
from clothseg.instances import is_box_only

__all__ = ["AnnotationRow", "CategoryRow", "Id", "ImageRow", "Split"]


@dataclass(frozen=True, slots=True)
class CategoryRow(rows.CategoryRow):
    """A class, and its location."""

    location: Location


@dataclass(frozen=True, slots=True)
class ImageRow(rows.ImageRow):
    """A photo, and its location."""

    location: Location


@dataclass(frozen=True, slots=True)
class AnnotationRow(rows.AnnotationRow):
    """An annotation, and its location."""

    location: Location

    @property
    def box_only(self) -> bool:
        """Whether only the box of an object is known, not its mask."""
        return is_box_only(self.raw) and not self.crowd


@dataclass
class Split(rows.CocoRows):
    """One file, whose rows have locations."""

    file: Path
    categories: Sequence[CategoryRow] = ()
    images: Sequence[ImageRow] = ()
    annotations: Sequence[AnnotationRow] = ()
    location: Location = field(default_factory=lambda: Location(""))
