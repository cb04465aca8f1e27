"""The gallery of cut-outs: a card for each garment."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clothseg.counting import counted
from clothseg.gallery import Entry, GalleryInfo, GalleryObject, Link, thumbnail_name, write_gallery
from clothseg.gallery.data import entry_row
from clothseg.gallery.entries import address, gallery_classes, short_names


def cutout_thumbnail(name: str) -> str:
    """The path of the thumbnail of a cut-out in the same folder; `name` is its file name."""
    return thumbnail_name(Path(name).stem, transparent=True)


def write_cutout_gallery(out: Path, listed: str, rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    """Writes `index.html` for the cut-outs in a folder; the thumbnails are there.

    Args:
        out: the folder.
        listed: the name of the list of cut-outs in it.
        rows: those of the list.
        names: the names of the classes 1..K.
    """
    number = {name: position for position, name in enumerate(names, start=1)}
    title = counted(len(rows), "cut-out")
    info = GalleryInfo(
        "clothseg cutout",
        title,
        gallery_classes({k: name for name, k in number.items()}),
        links=[Link(f"{listed}: classes, scores and places", listed)],
        checks=True,
        things=("garment", "garments", "cut-out", "cut-outs"),
    )
    titles = short_names(row["photo"] for row in rows)
    entries = (_entry(out, row, titles[row["photo"]], number[row["class"]]) for row in rows)
    write_gallery(out, info, map(entry_row, entries))


def _entry(out: Path, row: Mapping[str, Any], title: str, class_id: int) -> Entry:
    left, top, width, height = row["box"]
    share = width * height / max(row["photo_width"] * row["photo_height"], 1)
    picture = address(out / row["file_name"], out)
    return Entry(
        name=title,
        width=width,
        height=height,
        objects=[GalleryObject(class_id, row["score"], share, (0, 0, width, height))],
        thumbnail=address(out / cutout_thumbnail(row["file_name"]), out),
        drawn=picture,
        links=[Link("Cut-out (PNG)", picture), Link("Photo", address(Path(row["photo"]), out))],
        text=f"{row['file_name']}, at x {left}, y {top} of the photo",
    )
