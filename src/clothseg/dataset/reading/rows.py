"""The rows of a COCO file. Values that cannot be used are None; the rest is corrected already."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from clothseg.dataset.reading.issues import IssueLog
from clothseg.dataset.reading.values import Id


@dataclass(frozen=True, slots=True)
class CategoryRow:
    """A class.

    Attributes:
        row: its position in the list, from 0.
        id: a number, or a text that is none; None if there is no usable id.
        name: empty if the JSON has no usable name.
        raw: the row, corrected in everything but its ids.
    """

    row: int
    id: Id | None
    name: str
    raw: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ImageRow:
    """A photo.

    Attributes:
        row: its position in the list, from 0.
        id: as of `CategoryRow`.
        file_name: as in the file; empty if it has none.
        size: height and width.
        path: where the photo was found, or where it should be.
        raw: the row, corrected in everything but its ids.
    """

    row: int
    id: Id | None
    file_name: str
    size: tuple[int, int] | None
    path: Path | None
    raw: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AnnotationRow:
    """An annotation.

    Attributes:
        row: its position in the list, from 0.
        id: as of `CategoryRow`.
        image_id: of its photo.
        category_id: of its class.
        raw: the row, corrected in everything but its ids.
    """

    row: int
    id: Id | None
    image_id: Id | None
    category_id: Id | None
    raw: dict[str, Any]

    @property
    def crowd(self) -> bool:
        """Whether this is a region to ignore."""
        return self.raw.get("iscrowd") == 1


@dataclass
class CocoRows:
    """One file: a short name (`train` for `train.json`), its rows, and its whole JSON in `tree`.

    Attributes:
        name: of the split.
        file: the path, or words for JSON that was given directly.
        tree: the JSON.
        log: what was corrected, left out, and what is wrong.
    """

    name: str
    file: Path | str
    tree: dict[str, Any]
    log: IssueLog
    categories: Sequence[CategoryRow] = ()
    images: Sequence[ImageRow] = ()
    annotations: Sequence[AnnotationRow] = ()

    @cached_property
    def images_by_id(self) -> dict[Id, ImageRow]:
        """The first image with each id."""
        return {row.id: row for row in reversed(self.images) if row.id is not None}

    @cached_property
    def categories_by_id(self) -> dict[Id, CategoryRow]:
        """The first category with each id."""
        return {row.id: row for row in reversed(self.categories) if row.id is not None}
