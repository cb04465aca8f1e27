"""Pascal VOC detection: an XML file with boxes for each photo. labelImg and Roboflow write it too.

Sources: the development kit of Pascal VOC 2012. Whole numbers count pixels from 1, both ends included, so a box from 1
to the width spans the photo; numbers with a point are coordinates. Roboflow's supervision adds the outline of an object
as `polygon`, with the corners x1 y1, x2 y2, ...; without it, only the box is known.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from pathlib import Path

from clothseg.counting import counted
from clothseg.dataset.importing.drawing import check_size, draw_polygon, draw_rectangle, numbers
from clothseg.dataset.importing.labels import LabelledPhoto, LabelSource, PhotoIndex, Size, name_in, read_each, sizes_of
from clothseg.dataset.importing.xml_files import first_tag, xml_root
from clothseg.dataset.importing.yolo_layout import SPLITS
from clothseg.errors import DataError
from clothseg.instances import Rle

_SIDES = ("xmin", "ymin", "xmax", "ymax")
_LOOKED_AT = 20  # XML files that are opened to find the format


def read_voc_boxes(source: Path) -> LabelSource:
    """Finds the XML files below a folder, and the photos that they name.

    The lists in `ImageSets/Main` give the split, or a folder called train, valid or test above the file. An XML file
    without objects means a photo without objects.

    Raises:
        DataError: there is no XML file of this kind.
    """
    files = [path for path in sorted(source.rglob("*.xml")) if _is_voc(path)] if source.is_dir() else []
    if not files:
        raise DataError(f"{source}: no XML file of Pascal VOC; give the folder that has Annotations and JPEGImages")
    index, lists = PhotoIndex(source), _lists(source)

    def start(file: Path) -> LabelledPhoto:
        folders = [part.lower() for part in file.relative_to(source).parts[:-1]]
        split = lists.get(file.stem) or next((SPLITS[name] for name in folders if name in SPLITS), "")
        return LabelledPhoto(file.with_suffix(".jpg"), name_in(source, file.with_suffix(".jpg")), split=split)

    def photos() -> Iterator[LabelledPhoto]:
        used: set[Path | bytes] = set()
        for photo in read_each(files, start, lambda file, photo: _read(source, file, photo, index)):
            used.add(photo.photo)
            yield photo
        for path in index.paths:
            if path not in used:
                yield LabelledPhoto(path, name_in(source, path), labelled=False)

    return LabelSource(
        "voc-boxes",
        f"Pascal VOC: {counted(len(files), 'XML file')}, {counted(len(index.paths), 'photo')}",
        [],
        max(len(files), len(index.paths)),
        photos,
        [],
        "an XML file without objects means a photo without objects; a photo without one is not labelled",
    )


def has_voc_boxes(source: Path) -> bool:
    """Whether one of the first XML files below a folder is of Pascal VOC."""
    for number, path in enumerate(source.rglob("*.xml")):
        if number == _LOOKED_AT:
            return False
        if _is_voc(path):
            return True
    return False


def _is_voc(path: Path) -> bool:
    """Whether the first element is `annotation`; a file that cannot be read is taken for one, so that it is named."""
    tag = first_tag(path)
    return path.parent.name == "Annotations" if tag is None else tag == "annotation"


def _read(source: Path, file: Path, photo: LabelledPhoto, index: PhotoIndex) -> None:
    root = xml_root(file)
    named = (root.findtext("filename") or "").strip()
    found = index.find(named, near=file.parent) if named else None
    found = found or index.find(file.stem, near=file.parent)
    if found is None:
        photo.fail("missing_photo", f"{file}: no photo {named or file.stem}")
        return
    photo.photo, photo.name = found, name_in(source, found)
    sides = [root.findtext(f"size/{side}") for side in ("height", "width")]
    photo.size = sizes_of(found)[0]
    if all(side is not None and side.strip() not in ("", "0") for side in sides):
        height, width = numbers(sides, "size")
        photo.size = (int(height), int(width))
    check_size(photo.size)
    for number, shape in enumerate(root.iter("object"), start=1):
        name = (shape.findtext("name") or "").strip()
        try:
            outline = shape.find("polygon")
            mask = _box(shape, photo.size) if outline is None else _polygon(outline, photo.size)
            occluded = shape.findtext("occluded")
            photo.add(
                name, mask, is_box=outline is None, occluded=None if occluded is None else occluded.strip() == "1"
            )
        except DataError as error:
            photo.drop("broken_shape", f"object {number}", name, str(error))


def _box(shape: ET.Element, size: Size) -> Rle:
    texts = [shape.findtext(f"bndbox/{side}") for side in _SIDES]
    x1, y1, x2, y2 = numbers(texts, "bndbox")
    first = _first_pixel(texts)
    return draw_rectangle([(x1 - first, y1 - first), (x2, y2)], size)


def _polygon(outline: ET.Element, size: Size) -> Rle:
    """The corners in the order of their numbers, not of the file."""
    known = {corner.tag: corner.text for corner in outline}
    count = len(known) // 2
    texts = [known.get(f"{side}{number}") for number in range(1, count + 1) for side in "xy"]
    sides, first = numbers(texts, "polygon"), _first_pixel(texts)
    return draw_polygon([(x - first, y - first) for x, y in zip(sides[::2], sides[1::2], strict=True)], size)


def _first_pixel(texts: Iterable[str | None]) -> int:
    """The number of the first pixel: 1 in whole numbers, 0 in coordinates."""
    return int(all("." not in str(text) for text in texts))


def _lists(source: Path) -> dict[str, str]:
    """The split of each photo by its stem, from the lists of `ImageSets/Main`."""
    splits: dict[str, str] = {}
    for file in sorted(source.rglob("ImageSets/Main/*.txt")):
        if split := SPLITS.get(file.stem.lower()):
            lines = file.read_text(encoding="utf-8-sig", errors="replace").splitlines()
            splits |= {line.split()[0]: split for line in lines if line.strip()}
    return splits
