"""COCO files as they are, right or wrong: rows keep what was read, and None where a value was unusable."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clothseg.dataset.doctor.findings import Location

Id = int | str


@dataclass(frozen=True)
class CategoryRow:
    """A class. `name` is empty where it was none."""

    place: Location
    id: Id | None
    name: str
    raw: dict[str, Any]


@dataclass(frozen=True)
class ImageRow:
    """A photo as the JSON has it. `size` is height, width; `path` is where it was found, or where it should be."""

    place: Location
    id: Id | None
    file_name: str
    size: tuple[int, int] | None
    path: Path | None
    raw: dict[str, Any]


@dataclass(frozen=True)
class AnnotationRow:
    """One annotation; ids are None where they were no ids."""

    place: Location
    id: Id | None
    image_id: Id | None
    category_id: Id | None
    raw: dict[str, Any]

    @property
    def crowd(self) -> bool:
        """Whether it is a region to be ignored."""
        return self.raw.get("iscrowd") in (1, True)


@dataclass
class Split:
    """One file: its name (`train` for `train.json`), its rows, and what else it holds."""

    name: str
    file: Path
    tree: dict[str, Any]
    categories: list[CategoryRow] = field(default_factory=list)
    images: list[ImageRow] = field(default_factory=list)
    annotations: list[AnnotationRow] = field(default_factory=list)

    def images_by_id(self) -> dict[Id, ImageRow]:
        """The first image of each id."""
        return {row.id: row for row in reversed(self.images) if row.id is not None}

    def categories_by_id(self) -> dict[Id, CategoryRow]:
        """The first category of each id."""
        return {row.id: row for row in reversed(self.categories) if row.id is not None}
