"""The gallery of a dataset: its photos with the outlines of their annotations."""

from collections.abc import Iterable
from pathlib import Path

from clothseg.dataset.coco import CocoLikeDataset
from clothseg.dataset.sheets import PhotoReader
from clothseg.errors import DataError, PhotoError
from clothseg.files import safe_file_name
from clothseg.gallery import Entry, GalleryInfo, GalleryObject, thumbnail_name, write_thumbnail
from clothseg.gallery.data import Row, entry_row
from clothseg.gallery.entries import address, gallery_classes
from clothseg.gallery.outlines import mask_outlines
from clothseg.instances import mask_area

THINGS = ("object", "objects", "photo", "photos")


def dataset_info(data: CocoLikeDataset, title: str, note: str) -> GalleryInfo:
    """What the page of a dataset says."""
    classes = gallery_classes(dict(enumerate(data.classes, start=1)))
    return GalleryInfo("clothseg dataset show", title, classes, note=note, scored=False, things=THINGS)


def dataset_rows(reader: PhotoReader, positions: Iterable[int], folder: Path, out: Path) -> list[Row]:
    """Writes the thumbnails of some photos, and returns their rows. The page shows the photos from where they are.

    Args:
        reader: of the dataset. It gets the names of photos that cannot be read, with the reason.
        positions: of the photos.
        folder: for the thumbnails.
        out: the folder of the page, when all is done.
    """
    data, rows = reader.data, []
    for position in positions:
        entry = data.images[position]
        try:
            photo, objects = data.load_image(position), _objects(data, position)
        except (PhotoError, DataError) as error:
            reader.skip(position, error)
            continue
        thumbnail = thumbnail_name(f"{position + 1:04d}-{safe_file_name(entry.path.stem)}")
        write_thumbnail(photo, folder / thumbnail)
        rows.append(
            entry_row(
                Entry(
                    name=reader.name(position),
                    width=entry.width,
                    height=entry.height,
                    objects=objects,
                    thumbnail=address(out / thumbnail, out),
                    photo=address(entry.path, out),
                    text=f"image_id {entry.id}",
                )
            )
        )
    return rows


def _objects(data: CocoLikeDataset, position: int) -> list[GalleryObject]:
    found = data.load_objects(position)
    area = found.size[0] * found.size[1]
    corners = zip(found.classes.tolist(), found.boxes.tolist(), found.has_mask.tolist(), found.masks, strict=True)
    objects = []
    for class_id, (x1, y1, x2, y2), has_mask, rle in corners:
        box = (x1, y1, x2 - x1, y2 - y1)
        share = (mask_area(rle) if has_mask else box[2] * box[3]) / area
        objects.append(GalleryObject(class_id, 1.0, share, box, mask_outlines(rle) if has_mask else ()))
    return objects
