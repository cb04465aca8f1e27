"""YOLO segmentation: `images/SPLIT`, `labels/SPLIT` and `data.yaml`.

An object is one line with one polygon. Source: the page on the segmentation format of Ultralytics.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import yaml

from clothseg.dataset.exporting.options import ExportOptions
from clothseg.dataset.exporting.outlines import joined, polygons_of
from clothseg.dataset.exporting.photos import ExportPhoto, Losses, copy_photo
from clothseg.files import atomic_write


def write_yolo_split(
    folder: Path, split: str, photos: Iterable[ExportPhoto], options: ExportOptions, losses: Losses
) -> tuple[int, int]:
    """Writes one split. Returns the numbers of photos and objects. A photo without objects has an empty label file."""
    count = objects = 0
    for photo in photos:
        count += 1
        copy_photo(photo, folder / "images" / split, hard_link=options.hard_links)
        height, width = photo.size
        lines = []
        for found in photo.objects:
            if found.crowd:
                losses.counts["crowds_left_out"] += 1
                continue
            if found.box is not None:  # a file with boxes and polygons is read as one of boxes
                losses.counts["boxes_left_out"] += 1
                continue
            polygons = polygons_of(found.mask, options.tolerance, losses)
            losses.counts["parts_as_bridges"] += len(polygons) > 1
            flat = joined(polygons)
            sides = [value / (height if place % 2 else width) for place, value in enumerate(flat)]
            lines.append(f"{found.category - 1} {' '.join(f'{side:.7g}' for side in sides)}\n")
        objects += len(lines)
        atomic_write(folder / "labels" / split / f"{Path(photo.name).stem}.txt", "".join(lines))
    return count, objects


def write_data_yaml(folder: Path, splits: Sequence[str], classes: Sequence[str]) -> None:
    """Writes `data.yaml`: the folders of the splits, relative to the file, and the class names."""
    places = {split: f"images/{split}" for split in splits}
    text = yaml.safe_dump({**places, "names": dict(enumerate(classes))}, sort_keys=False, allow_unicode=True)
    atomic_write(folder / "data.yaml", text)
