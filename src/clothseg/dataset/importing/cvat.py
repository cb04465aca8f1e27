"""CVAT for images 1.1: one XML file with the shapes of all photos.

Source: CVAT's page on its XML format. Polygons, masks, ellipses and boxes have pixels; polylines, points, skeletons
and cuboids have no area. Shapes of one label with the same `group_id` are parts of one object. Objects come in the
order of `z_order`, the topmost last; CVAT turns photos upright by their EXIF data.
"""

import math
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

from clothseg.counting import counted
from clothseg.dataset.importing.drawing import (
    check_size,
    corners,
    draw_ellipse,
    draw_polygon,
    draw_rectangle,
    draw_runs,
    numbers,
    place_mask,
)
from clothseg.dataset.importing.groups import ObjectGroups
from clothseg.dataset.importing.labels import LabelledPhoto, LabelSource, PhotoIndex, Size, name_in, read_each
from clothseg.dataset.importing.xml_files import first_tag, xml_events
from clothseg.dataset.importing.yolo_layout import SPLITS
from clothseg.errors import DataError
from clothseg.instances import Rle

_DRAWN = frozenset({"polygon", "mask", "ellipse", "box"})
_NO_AREA = frozenset({"polyline", "points", "skeleton", "cuboid"})


def read_cvat(source: Path) -> LabelSource:
    """Finds the XML file and the photos that it names.

    Photos are below the folder of the file, for example in `images/`. A photo in a `subset` called Train, Validation or
    Test is of that split. CVAT lists every photo, so the file does not say whether one without shapes was labelled.

    Args:
        source: the XML file, or a folder with one.

    Raises:
        DataError: there is no XML file of this kind, or it is broken. The message has the line.
    """
    file = source if source.is_file() else _xml_in(source)
    names, count = _survey(file)
    index = PhotoIndex(file.parent)

    def start(image: ET.Element) -> LabelledPhoto:
        name = image.get("name", "")
        path = index.find(name, near=file.parent / "images") or file.parent / "images" / name
        split = SPLITS.get((image.get("subset") or "").lower(), "")
        return LabelledPhoto(path, name_in(file.parent, path), split=split)

    return LabelSource(
        "cvat-xml",
        f"CVAT for images: {counted(count, 'photo')} in {file.name}, {counted(len(names), 'label')}",
        names,
        count,
        lambda: read_each(_images(file), start, _read),
        [file],
        "CVAT does not say whether a photo without shapes was labelled",
    )


def _xml_in(folder: Path) -> Path:
    found = [path for path in sorted(folder.glob("*.xml")) if is_cvat(path)]
    if len(found) != 1:
        raise DataError(f"{folder}: {len(found)} XML files of CVAT for images; give the file, usually annotations.xml")
    return found[0]


def is_cvat(path: Path) -> bool:
    """Whether a file is XML of CVAT."""
    return first_tag(path) == "annotations"


def _survey(file: Path) -> tuple[list[str], int]:
    """The names of the labels, and the number of photos. It reads the whole file, so broken XML is found first."""
    names: list[str] = []
    count = tracks = 0
    inside: list[str] = []
    for event, element in xml_events(file):
        if event == "start":
            inside.append(element.tag)
            continue
        inside.pop()
        if element.tag == "label" and inside[-1:] == ["labels"]:
            names.append((element.findtext("name") or "").strip())
        count += element.tag == "image"
        tracks += element.tag == "track"
        if element.tag in {"image", "track"}:
            element.clear()
    if tracks and not count:
        raise DataError(f'{file}: this is "CVAT for video"; export the task as "CVAT for images 1.1"')
    if not count:
        raise DataError(f'{file}: no <image>; export the task from CVAT as "CVAT for images 1.1"')
    return list(dict.fromkeys(name for name in names if name)), count


def _images(file: Path) -> Iterator[ET.Element]:
    steps = xml_events(file)
    _, root = next(steps)
    for event, element in steps:
        if event == "end" and element.tag == "image":
            yield element
            root.clear()  # what was read is no longer needed


def _read(image: ET.Element, photo: LabelledPhoto) -> None:
    sides = numbers([image.get("height"), image.get("width")], "height and width of the image")
    size = photo.size = (int(sides[0]), int(sides[1]))
    check_size(size)
    groups = ObjectGroups()
    shapes = [shape for shape in image if shape.tag in _DRAWN | _NO_AREA]
    photo.labelled = bool(shapes)
    for number, shape in enumerate(shapes):
        label, where = shape.get("label", ""), f"{shape.tag} {number + 1}"
        if shape.get("outside") == "1":
            photo.drop("hidden", where, label, "outside is 1")
        elif shape.tag in _NO_AREA:
            photo.drop("no_area", where, label, f"{shape.tag} has no area")
        else:
            try:
                mask, order = _draw(shape, size), int(shape.get("z_order") or 0)
            except (DataError, ValueError) as error:
                photo.drop("broken_shape", where, label, str(error))
                continue
            key = shape.get("group_id") or "0"
            together = where if key == "0" else f"group {key}"
            is_box, occluded = shape.tag == "box", shape.get("occluded") == "1"
            groups.add(label, together, mask, order=order, is_box=is_box, occluded=occluded)
    groups.add_to(photo)


def _draw(shape: ET.Element, size: Size) -> Rle:
    """The mask of a polygon, mask, ellipse or box."""
    if shape.tag == "polygon":
        points = [point.split(",") for point in (shape.get("points") or "").split(";") if point.strip()]
        return draw_polygon(corners(points, "points"), size)
    if shape.tag == "mask":
        left, top, width, height = (int(n) for n in _values(shape, "left", "top", "width", "height"))
        runs = numbers([run for run in (shape.get("rle") or "").split(",") if run.strip()], "rle")
        return place_mask(draw_runs([int(run) for run in runs], height, width), left, top, size)
    degrees = float(shape.get("rotation") or 0)
    if shape.tag == "ellipse":
        x, y, a, b = _values(shape, "cx", "cy", "rx", "ry")
        return draw_ellipse([x, y], [a, b], size, degrees=degrees)
    x1, y1, x2, y2 = _values(shape, "xtl", "ytl", "xbr", "ybr")
    if not degrees:
        return draw_rectangle([[x1, y1], [x2, y2]], size)
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    sides = [(left - x, top - y) for left, top in ((x1, y1), (x2, y1), (x2, y2), (x1, y2))]
    return draw_polygon([(x + a * cosine - b * sine, y + a * sine + b * cosine) for a, b in sides], size)


def _values(shape: ET.Element, *keys: str) -> list[float]:
    return numbers([shape.get(key) for key in keys], ", ".join(keys))
