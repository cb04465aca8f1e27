"""Pascal VOC segmentation: for each photo a label map of classes and one of objects.

Sources: the development kit of Pascal VOC 2012; CVAT's pages on "Pascal VOC" and "Segmentation mask", which add
`labelmap.txt` with the colour of each class; labelme's `labelme2voc.py`, which adds `class_names.txt`, folders of
pictures called `...Visualization`, and in older versions `...PNG` for the label maps, beside arrays of NumPy.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clothseg.counting import counted
from clothseg.dataset.importing.label_maps import Colour, LabelMap, class_list, read_label_map, voc_colour
from clothseg.dataset.importing.labels import LabelledPhoto, LabelSource, PhotoIndex, name_in, read_each
from clothseg.dataset.importing.yolo_layout import SPLITS
from clothseg.errors import DataError
from clothseg.instances import encode

CLASS_FOLDER, OBJECT_FOLDER = "SegmentationClass", "SegmentationObject"
_VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog"),
    *("horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
_ENOUGH = 0.95  # of an object's pixels must be of one class; borders of the two maps can differ by some pixels


@dataclass(frozen=True)
class _Names:
    """Class names: by colour from `labelmap.txt`, or by number."""

    by_colour: Mapping[Colour, str]
    by_number: Mapping[int, str]
    file: Path | None

    def of(self, value: int, classes: LabelMap) -> str | None:
        """The name of a value in a label map of classes."""
        if self.by_colour:
            return self.by_colour.get(classes.colour(value) or (0, 0, 0))
        return self.by_number.get(value) if classes.colours is not None else None


def read_voc(source: Path) -> LabelSource:
    """Finds `SegmentationObject`, `SegmentationClass` and the photos.

    The class of an object is that of its pixels in `SegmentationClass`. Value 255, the border, belongs to nothing. The
    lists in `ImageSets/Segmentation` give the split. Class names come from `labelmap.txt` or `class_names.txt`; else
    they are the 20 classes of Pascal VOC. A label map without objects means a photo without objects.

    Raises:
        DataError: a folder is missing, or there are several.
    """
    found = sorted(path for path in source.rglob(OBJECT_FOLDER) if path.is_dir())
    if len(found) != 1:
        what = f"{len(found)} folders" if found else "no folder"
        raise DataError(f"{source}: {what} {OBJECT_FOLDER}; give the folder that has one, beside {CLASS_FOLDER}")
    root = found[0].parent
    if not (root / CLASS_FOLDER).is_dir():
        raise DataError(f"{root}: {OBJECT_FOLDER} is there, but not {CLASS_FOLDER}, which has the classes")
    names, objects = _class_names(root), _maps_in(root, OBJECT_FOLDER)
    index = PhotoIndex(root, without=root.glob("Segmentation*"))
    stems = {name_in(objects, path).removesuffix(".png"): "" for path in sorted(objects.rglob("*.png"))}
    stems |= _splits(root)

    def photos() -> Iterator[LabelledPhoto]:
        used = set()

        def start(stem: str) -> LabelledPhoto:
            path = index.find(stem, near=root / "JPEGImages") or root / "JPEGImages" / f"{stem}.jpg"
            used.add(path)
            return LabelledPhoto(path, name_in(root, path), split=stems[stem])

        yield from read_each(stems, start, lambda stem, photo: _read(root, stem, photo, names))
        for path in index.paths:
            if path not in used:
                yield LabelledPhoto(path, name_in(root, path), labelled=False)

    order = names.by_colour.values() if names.by_colour else names.by_number.values()
    return LabelSource(
        "voc",
        f"Pascal VOC: {counted(len(stems), 'label map')} of objects, {counted(len(index.paths), 'photo')}, "
        f"{counted(len(order), 'class', 'classes')}",
        list(dict.fromkeys(order)),
        max(len(stems), len(index.paths)),
        photos,
        [names.file] if names.file else [],
        "a label map without objects means a photo without objects; a photo without a label map is not labelled",
    )


def _read(root: Path, stem: str, photo: LabelledPhoto, names: _Names) -> None:
    objects, classes = (
        read_label_map(_maps_in(root, folder) / f"{stem}.png") for folder in (OBJECT_FOLDER, CLASS_FOLDER)
    )
    if objects.size != classes.size:
        raise DataError(
            f"{stem}.png: the label maps of objects and classes have sizes {objects.size} and {classes.size}"
        )
    photo.size = objects.size
    for value, mask in objects.regions():
        where = f"object {value}"
        inside, counts = np.unique(classes.values[mask], return_counts=True)
        best = int(counts.argmax())
        if counts[best] < _ENOUGH * counts.sum():
            photo.drop("broken_shape", where, "", f"its pixels have several classes: {inside.tolist()[:10]}")
            continue
        name = names.of(int(inside[best]), classes)
        if name is None:
            photo.drop("unknown_class", where, "", f"class value {int(inside[best])} has no name; add labelmap.txt")
        else:
            photo.add(name, encode(mask))


def _maps_in(root: Path, folder: str) -> Path:
    """The folder of label maps as PNG: `folder`, or the one that an older labelme puts beside arrays of NumPy."""
    beside = root / f"{folder}PNG"
    return beside if beside.is_dir() else root / folder


def _class_names(root: Path) -> _Names:
    for folder in (root, root.parent):
        if (folder / "labelmap.txt").is_file():
            file = folder / "labelmap.txt"
            return _Names(_label_map_colours(file), {}, file)
        for name in ("class_names.txt", "classes.txt", "labels.txt"):
            if (folder / name).is_file():
                return _Names({}, class_list(folder / name), folder / name)
    return _Names({}, dict(enumerate(_VOC_CLASSES, start=1)), None)


def _label_map_colours(file: Path) -> dict[Colour, str]:
    """The lines `name:red,green,blue:parts:actions` of `labelmap.txt`. Without colours, line n has VOC's colour n."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read as text ({error})") from error
    colours: dict[Colour, str] = {}
    rows = [(number, line) for number, line in enumerate(lines, start=1) if line.strip() and line[0] != "#"]
    for value, (number, line) in enumerate(rows):
        name, _, rest = line.partition(":")
        text = rest.split(":")[0]
        parts = text.split(",") if text.strip() else [str(channel) for channel in voc_colour(value)]
        if len(parts) != 3 or not all(part.strip().isdecimal() and int(part) < 256 for part in parts):
            raise DataError(f"{file}: line {number} is {line[:80]!r}; expected name:red,green,blue:parts:actions")
        colour = (int(parts[0]), int(parts[1]), int(parts[2]))
        if colour != (0, 0, 0):
            colours[colour] = name.strip()
    return colours


def _splits(root: Path) -> dict[str, str]:
    """The split of each label map, from the lists of `ImageSets/Segmentation`."""
    splits: dict[str, str] = {}
    for file in sorted((root / "ImageSets" / "Segmentation").glob("*.txt")):
        if split := SPLITS.get(file.stem.lower()):
            lines = file.read_text(encoding="utf-8-sig", errors="replace").splitlines()
            splits |= {line.strip().split(".png")[0]: split for line in lines if line.strip()}
    return splits
