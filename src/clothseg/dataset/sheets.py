"""A contact sheet of a dataset: its pictures, its file, and how photos come with their objects."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from clothseg.dataset.coco import CocoLikeDataset
from clothseg.dataset.objects import LabelledObjects
from clothseg.errors import DataError, PhotoError
from clothseg.photos import RgbImage
from clothseg.pictures import contact_sheet

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
        """The file name of a photo."""
        return self.data.images[position].path.name


def save_sheet(folder: Path, cells: Cells, sheet: Sheet, columns: int = 6) -> Sheet | None:
    """Writes one sheet. Returns None if it has no pictures."""
    if not cells:
        return None
    pictures, captions = zip(*cells, strict=True)
    Image.fromarray(contact_sheet(pictures, columns, captions)).save(folder / sheet.file)
    return sheet
