"""Rows of COCO files with their locations. Values that cannot be used are None."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clothseg.dataset.doctor.findings import Location
from clothseg.dataset.reading.values import Id
from clothseg.instances import is_box_only

__all__ = ["AnnotationRow", "CategoryRow", "Id", "ImageRow", "Split"]


@dataclass(frozen=True)
class CategoryRow:
    """A class. `name` is empty if the JSON has no usable name."""

    location: Location
    id: Id | None
    name: str
    raw: dict[str, Any]


@dataclass(frozen=True)
class ImageRow:
    """A photo. `size` is height and width. `path` is where the file was found, or where it should be."""

    location: Location
    id: Id | None
    file_name: str
    size: tuple[int, int] | None
    path: Path | None
    raw: dict[str, Any]


@dataclass(frozen=True)
class AnnotationRow:
    """An annotation. `raw` has mask, box, area and `iscrowd` as the reader set them right."""

    location: Location
    id: Id | None
    image_id: Id | None
    category_id: Id | None
    raw: dict[str, Any]

    @property
    def crowd(self) -> bool:
        """Whether this is a region to ignore."""
        return self.raw.get("iscrowd") == 1

    @property
    def box_only(self) -> bool:
        """Whether only the box of an object is known, not its mask."""
        return is_box_only(self.raw) and not self.crowd


@dataclass
class Split:
    """One file: its name (`train` for `train.json`), its rows, and its whole JSON in `tree`."""

    name: str
    file: Path
    tree: dict[str, Any]
    categories: list[CategoryRow] = field(default_factory=list)
    images: list[ImageRow] = field(default_factory=list)
    annotations: list[AnnotationRow] = field(default_factory=list)

    def images_by_id(self) -> dict[Id, ImageRow]:
        """The first image with each id."""
        return {row.id: row for row in reversed(self.images) if row.id is not None}

    def categories_by_id(self) -> dict[Id, CategoryRow]:
        """The first category with each id."""
        return {row.id: row for row in reversed(self.categories) if row.id is not None}
