"""The gallery of a prediction: `index.html`, and thumbnails beside it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clothseg.counting import counted
from clothseg.gallery import Entry, GalleryInfo, GalleryObject, Link, thumbnail_name, write_gallery, write_thumbnail
from clothseg.gallery.data import Row, entry_row
from clothseg.gallery.entries import address, gallery_classes, short_names
from clothseg.gallery.outlines import mask_outlines
from clothseg.instances import CocoResult, Selection, mask_area
from clothseg.journal import Journal
from clothseg.photos import RgbImage

LOWEST_SCORE = 0.1
"""Detections with a lower score are not in the gallery, unless they reach the threshold of their class."""
_FILES = {"predictions.json": "COCO results", "detections.csv": "table", "images.json": "photos and classes"}


def photo_row(
    photo: RgbImage,
    path: Path,
    out: Path,
    entry: Mapping[str, object],
    name: str,
    rows: Sequence[CocoResult],
    shown: Selection,
) -> Row:
    """Writes the thumbnail of a photo and returns its row in the gallery.

    Args:
        photo: `[H, W, 3]` uint8.
        path: its file.
        out: the folder of the results.
        entry: its entry in `images.json`.
        name: the stem of the names of its files.
        rows: all detections on it.
        shown: selects those that the gallery shows at first.
    """
    height, width = photo.shape[:2]
    thumbnail = thumbnail_name(name)
    write_thumbnail(photo, out / thumbnail)
    objects = [
        GalleryObject(
            row["category_id"],
            row["score"],
            mask_area(row["segmentation"]) / (height * width),
            row["bbox"],
            mask_outlines(row["segmentation"]),
        )
        for row in rows
        if row["score"] >= min(shown.least(row["category_id"]), LOWEST_SCORE)
    ]
    made = {
        "Photo with everything drawn": entry.get("picture"),
        "Class map": entry.get("class_map"),
        "Instance map": entry.get("instance_map"),
    }
    return entry_row(
        Entry(
            name=path.name,
            width=width,
            height=height,
            objects=objects,
            thumbnail=address(out / thumbnail, out),
            photo=address(path, out),
            drawn=address(out / str(entry["picture"]), out) if "picture" in entry else "",
            links=[Link(text, address(out / str(file), out)) for text, file in made.items() if file],
            text=f"image_id {entry['id']}",
        )
    )


def write_prediction_gallery(
    journal: Journal, counts: tuple[int, int], names: Mapping[int, str], shown: Selection, labels: Sequence[str] = ()
) -> None:
    """Writes the page from the records. One that has no photo gets no page.

    Args:
        journal: the records, each with the `gallery` row of a photo.
        counts: of photos and of instances.
        names: class names by id.
        shown: selects the detections that the gallery shows at first.
        labels: the formats for labelling tools that are written beside it.
    """
    photos, instances = counts
    if not photos:
        return
    out = journal.folder
    classes = gallery_classes(names, shown.score_threshold, shown.thresholds)
    title = f"{counted(photos, 'photo')}, {counted(instances, 'garment')}"
    links = [Link(f"{name}: {what}", name) for name, what in _FILES.items() if (out / name).is_file()]
    links += [Link(f"labels-{form}.json: for a labelling tool", f"labels-{form}.json") for form in labels]
    lowest = min([LOWEST_SCORE, *(one.score_threshold for one in classes)])
    info = GalleryInfo("clothseg predict", title, classes, links=links, lowest_score=lowest)
    with journal.records() as records:
        titles = short_names(record["photo"]["file_name"] for record in records if record.get("gallery"))
    with journal.records() as records:
        rows = (_titled(record, titles) for record in records if record.get("gallery"))
        write_gallery(out, info, rows)


def _titled(record: Mapping[str, Any], titles: Mapping[str, str]) -> Row:
    """The row of a photo, with a name that no other photo has."""
    return [titles[record["photo"]["file_name"]], *record["gallery"][1:]]
