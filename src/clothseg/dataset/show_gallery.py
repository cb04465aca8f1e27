"""The gallery of a dataset: its photos, where they are, with the outlines of their annotations."""

from collections.abc import Iterable
from pathlib import Path

from clothseg.dataset.coco import CocoLikeDataset
from clothseg.errors import DataError
from clothseg.gallery import Entry, GalleryInfo, GalleryObject
from clothseg.gallery.data import Row, entry_row
from clothseg.gallery.entries import address, gallery_classes
from clothseg.gallery.outlines import mask_outlines
from clothseg.instances import mask_area

THINGS = ("object", "objects", "photo", "photos")


def dataset_info(data: CocoLikeDataset, title: str, note: str) -> GalleryInfo:
    """What the page of a dataset says."""
    classes = gallery_classes(dict(enumerate(data.classes, start=1)))
    return GalleryInfo("clothseg dataset show", title, classes, note=note, scored=False, things=THINGS)


def dataset_rows(data: CocoLikeDataset, positions: Iterable[int], out: Path, unread: dict[str, str]) -> list[Row]:
    """The rows of some photos. No photo is opened: the page shows them from where they are.

    Args:
        data: after `prepare`.
        positions: of the photos.
        out: the folder of the page.
        unread: gets the names of photos whose annotations cannot be read, with the reason.
    """
    rows = []
    for position in positions:
        entry = data.images[position]
        try:
            objects = _objects(data, position)
        except DataError as error:
            unread[entry.path.name] = str(error)
            continue
        text = f"image_id {entry.id}"
        photo = address(entry.path, out)
        rows.append(entry_row(Entry(entry.path.name, entry.width, entry.height, objects, photo=photo, text=text)))
    return rows


def _objects(data: CocoLikeDataset, position: int) -> list[GalleryObject]:
    found = data.load_instances(position)
    area = found.size[0] * found.size[1]
    corners = zip(found.classes.tolist(), found.boxes.tolist(), found.has_mask.tolist(), found.masks.rle(), strict=True)
    objects = []
    for class_id, (x1, y1, x2, y2), has_mask, rle in corners:
        box = (x1, y1, x2 - x1, y2 - y1)
        share = (mask_area(rle) if has_mask else box[2] * box[3]) / area
        objects.append(GalleryObject(class_id, 1.0, share, box, mask_outlines(rle) if has_mask else ()))
    return objects
