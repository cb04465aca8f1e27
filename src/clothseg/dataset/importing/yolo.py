"""YOLO segmentation: a text file for each photo, with a line `class x1 y1 x2 y2 ...` for each object.

Coordinates are fractions of the photo's width and height. Source: the pages on the segmentation format and on
`data.yaml` of Ultralytics; Roboflow and Label Studio write the same.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from clothseg.counting import counted
from clothseg.dataset.importing.drawing import draw_polygon, draw_rectangle, numbers
from clothseg.dataset.importing.labels import LabelledPhoto, LabelSource, Size, name_in, read_each, sizes_of
from clothseg.dataset.importing.yolo_layout import YoloLayout, find_layout, is_label_file
from clothseg.errors import DataError
from clothseg.photos import photo_exists

_BOX = 4
_CORNERS = 3
_DIGITS = 3  # of pixels; without it, 6.5 pixels come back as 6.4999999, which is drawn one pixel off
_MOST = 1.5  # a coordinate above this is in pixels; below it, a shape reaches over the photo's edge


@dataclass(frozen=True)
class _Pair:
    """A photo, its label file (which may be missing) and its split."""

    photo: Path
    labels: Path
    split: str


def read_yolo(source: Path) -> LabelSource:
    """Finds the photos and labels of a dataset in YOLO's segmentation format.

    Known layouts: the paths of `data.yaml` (folders, lists of folders, text files with paths), `SPLIT/images` with
    `SPLIT/labels`, `images/SPLIT` with `labels/SPLIT`, `images` with `labels`, and label files beside the photos. An
    empty label file means a photo without objects. A missing one means that the photo is not labelled.

    Args:
        source: the folder, or its `data.yaml`.

    Raises:
        DataError: no photos are found, or no list of class names.
    """
    layout = find_layout(source)
    pairs = [_Pair(photo, labels, split) for split, photos in layout.photos.items() for photo, labels in photos.items()]
    labelled = sum(os.path.isfile(pair.labels) for pair in pairs)

    def photos() -> Iterator[LabelledPhoto]:
        yield from read_each(
            pairs,
            lambda pair: LabelledPhoto(pair.photo, name_in(layout.root, pair.photo), split=pair.split),
            lambda pair, photo: _read(pair, photo, layout),
        )
        for file in _without_photo([pair.labels for pair in pairs]):
            yield LabelledPhoto(file, name_in(layout.root, file)).fail("missing_photo", f"{file}: no photo {file.stem}")

    return LabelSource(
        "yolo",
        f"YOLO: {counted(len(pairs), 'photo')}, {counted(labelled, 'label file')}, "
        f"{counted(len(layout.names), 'class', 'classes')}",
        list(layout.names.values()),
        len(pairs),
        photos,
        layout.files,
        "an empty label file means a photo without objects; a photo without a label file is not labelled",
    )


def _without_photo(known: Sequence[Path]) -> Iterator[Path]:
    """The label files with a line that belong to no photo, in the folders where label files are."""
    used = set(known)
    for folder in sorted({file.parent for file in known}):
        for file in sorted(folder.glob("*.txt")):
            if file not in used and is_label_file(file):
                yield file


def _read(pair: _Pair, photo: LabelledPhoto, layout: YoloLayout) -> None:
    if not photo_exists(pair.photo):
        photo.fail("missing_photo", f"{pair.photo}: no such photo")
        return
    if not os.path.isfile(pair.labels):
        photo.labelled = False
        return
    photo.size = sizes_of(pair.photo)[0]
    try:
        lines = pair.labels.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{pair.labels}: cannot be read as text ({error})") from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            _line(f"{pair.labels.name} line {number}", line.split(), photo, layout)


def _line(where: str, words: list[str], photo: LabelledPhoto, layout: YoloLayout) -> None:
    """Reads one object. One that is wrong is dropped; the others are kept."""
    try:
        index, *sides = numbers(words, "the line")
        if index not in layout.names:
            photo.drop("unknown_class", where, words[0], f"the names have {_known(layout)}; add it to names")
            return
        name, size = layout.names[int(index)], photo.size or (0, 0)
        if max(sides, default=0) > _MOST or min(sides, default=0) < 1 - _MOST:
            raise DataError(f"coordinate {max(sides, key=abs):g} is not a fraction of the photo (0 to 1)")
        if len(sides) == _BOX:
            x, y, width, height = sides
            box = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
            photo.add(name, draw_rectangle(_pixels(box, size), size), is_box=True)
            return
        if len(sides) % 2 or len(sides) < 2 * _CORNERS:
            raise DataError(
                f"{len(sides)} numbers after the class; a polygon has an even number, 6 or more, and a box has 4"
            )
        photo.add(name, draw_polygon(_pixels(sides, size), size))
    except DataError as error:
        photo.drop("broken_shape", where, "", str(error))


def _pixels(sides: Sequence[float], size: Size) -> list[tuple[float, float]]:
    """Fractions x1 y1 x2 y2 ... as points in pixels."""
    pairs = zip(sides[::2], sides[1::2], strict=True)
    return [(round(x * size[1], _DIGITS), round(y * size[0], _DIGITS)) for x, y in pairs]


def _known(layout: YoloLayout) -> str:
    return f"the numbers {min(layout.names)} to {max(layout.names)}" if layout.names else "no number"
