"""The photos of a dataset, for commands that take photos."""

import os
from collections.abc import Sequence
from pathlib import Path

from clothseg.dataset.reading import choose_split, find_layout, read_coco_file
from clothseg.dataset.reading.issues import Need
from clothseg.errors import DataError
from clothseg.photos import SUFFIXES


def photos_of(given: Sequence[Path], split: str | None = None) -> list[Path]:
    """The given photos and folders; a COCO file, or the folder of a dataset, becomes the photos that it lists.

    A folder with photos directly in it, or without a COCO file, stays as it is.

    Args:
        given: photos, folders, patterns, datasets and COCO files.
        split: of the datasets; by default all their splits.

    Raises:
        DataError: a dataset has no such split, or its file cannot be used.
    """
    return [path for place in given for path in (_listed(place, split) or [place])]


def _listed(place: Path, split: str | None) -> list[Path]:
    if place.is_dir():
        if not os.access(place, os.R_OK | os.X_OK):  # the search for photos names it
            return []
        if any(path.suffix.lower() in SUFFIXES for path in place.iterdir()):
            return []
        try:
            layout = find_layout(place)
        except DataError:
            return []
    elif place.is_file() and place.suffix.lower() == ".json":
        layout = find_layout(place)
    else:
        return []
    chosen = [choose_split(layout, split)] if split else layout.splits
    needs: tuple[Need, ...] = ("photos",)
    read = [read_coco_file(files.annotations, files.photos, needs=needs) for files in chosen]
    return list(dict.fromkeys(path for file in read for path in file.paths.values()))
