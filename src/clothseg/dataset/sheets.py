"""A contact sheet of a dataset: its pictures, its file, and how photos come with their objects."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from PIL import Image

from clothseg.dataset.coco import CocoLikeDataset
from clothseg.dataset.objects import LabelledObjects
from clothseg.errors import DataError, PhotoError
from clothseg.gallery.entries import short_names
from clothseg.photos import RgbImage
from clothseg.pictures import contact_sheet

_WIDTH = 1600  # pixels of a sheet, at most
_CELL = 400  # of a picture on it, at most; `show` draws pictures of 150,000 pixels
Cells = list[tuple[RgbImage, str]]
"""The pictures of a sheet, `[H, W, 3]` uint8, with their captions."""


@dataclass(frozen=True)
class Sheet:
    """One picture in the folder: its file name, title and description."""

    file: str
    title: str
    note: str


@dataclass
class PhotoReader:
    """Reads photos with their objects, and collects the names of those that cannot be read, with the reason."""

    data: CocoLikeDataset
    unread: dict[str, str]

    def read(self, position: int) -> tuple[RgbImage, LabelledObjects] | None:
        """A photo `[H, W, 3]` and its objects, or None if it cannot be read."""
        try:
            return self.data.load_image(position), self.data.load_objects(position)
        except (PhotoError, DataError) as error:
            self.skip(position, error)
            return None

    def skip(self, position: int, error: Exception) -> None:
        """Notes that a photo cannot be read."""
        self.unread[self.name(position)] = str(error)

    def name(self, position: int) -> str:
        """The file name of a photo, with as many folders as tell it from the others."""
        return self._names[str(self.data.images[position].path)]

    @cached_property
    def _names(self) -> dict[str, str]:
        return short_names(str(entry.path) for entry in self.data.images)


def save_sheet(folder: Path, cells: Cells, sheet: Sheet, columns: int = 6) -> Sheet | None:
    """Writes one sheet, a small one of few pictures. Returns None if it has none.

    The pictures are photos, which deflate hardly makes smaller: its first level takes a third of the time of the sixth.
    """
    if not cells:
        return None
    pictures, captions = zip(*cells, strict=True)
    width = min(min(columns, len(cells)) * _CELL, _WIDTH)
    drawn = Image.fromarray(contact_sheet(pictures, columns, captions, width))
    drawn.save(folder / sheet.file, compress_level=1)
    return sheet
