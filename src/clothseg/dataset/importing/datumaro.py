"""Datumaro's own format, as CVAT exports it: `annotations/SUBSET.json`, and photos in `images/SUBSET/`.

Source: the pages on Datumaro's format, and CVAT's on "Datumaro". Polygons, masks (run lengths as in COCO) and boxes
have pixels. Shapes of one label with the same `group` are parts of one object. Objects come in the order of `z_order`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clothseg.counting import counted
from clothseg.dataset.importing.drawing import check_size, draw_polygon, draw_rectangle, numbers
from clothseg.dataset.importing.groups import ObjectGroups
from clothseg.dataset.importing.labels import (
    LabelledPhoto,
    LabelSource,
    PhotoIndex,
    Size,
    name_in,
    read_each,
    sizes_of,
)
from clothseg.dataset.importing.trees import expect, json_tree
from clothseg.dataset.importing.yolo_layout import SPLITS
from clothseg.errors import DataError
from clothseg.instances import Rle, from_segmentation

_DRAWN = frozenset({"polygon", "mask", "bbox"})


def read_datumaro(source: Path) -> LabelSource:
    """Finds the label files and the photos that they name.

    The name of a file is its subset: `train`, `val` (`Validation`) and `test` are splits. The files list every photo,
    so they do not say whether one without shapes was labelled.

    Args:
        source: the folder of the export, or one label file.

    Raises:
        DataError: there is no label file of this kind, or one is broken.
    """
    files = [source] if source.is_file() else sorted((source / "annotations").glob("*.json"))
    root = source.parent.parent if source.is_file() else source
    if not files:
        raise DataError(f"{source}: no JSON file in annotations; give the folder of the export")
    trees = {file: json_tree(file) for file in files}
    names = {file: _label_names(file, tree) for file, tree in trees.items()}
    items = [
        (file, expect(item, dict, f"{file}: items[{number}]"))
        for file, tree in trees.items()
        for number, item in enumerate(expect(tree.get("items"), list, f"{file}: items"))
    ]
    index = PhotoIndex(root)

    def start(item: tuple[Path, dict[str, Any]]) -> LabelledPhoto:
        file, row = item
        image = row.get("image")
        named = str(image.get("path") if isinstance(image, dict) else "") or str(row.get("id", ""))
        folder = root / "images" / file.stem
        photo = index.find(named, near=folder) or index.find(named, near=root / "images") or folder / named
        return LabelledPhoto(photo, name_in(root, photo), split=SPLITS.get(file.stem.lower(), ""))

    def photos() -> Iterator[LabelledPhoto]:
        return read_each(items, start, lambda item, photo: _read(item[1], photo, names[item[0]]))

    labels = list(dict.fromkeys(name for of_file in names.values() for name in of_file))
    return LabelSource(
        "datumaro",
        f"Datumaro: {counted(len(items), 'photo')} in {counted(len(files), 'label file')}, "
        f"{counted(len(labels), 'label')}",
        labels,
        len(items),
        photos,
        files,
        "Datumaro does not say whether a photo without shapes was labelled",
    )


def _label_names(file: Path, tree: dict[str, Any]) -> list[str]:
    categories = expect(tree.get("categories"), dict, f"{file}: categories")
    label = expect(categories.get("label"), dict, f"{file}: categories.label")
    rows = expect(label.get("labels"), list, f"{file}: categories.label.labels")
    return [str(expect(expect(row, dict, f"{file}: a label").get("name"), str, f"{file}: a name")) for row in rows]


def _read(row: dict[str, Any], photo: LabelledPhoto, names: list[str]) -> None:
    image = row.get("image")
    given = image.get("size") if isinstance(image, dict) else None
    if given is None:
        size = sizes_of(photo.photo)[0] if isinstance(photo.photo, Path) else (0, 0)
    else:
        sides = numbers(given, "image.size")
        if len(sides) != 2:
            raise DataError(f"image.size has {len(sides)} numbers; it is height and width")
        size = (int(sides[0]), int(sides[1]))
    photo.size = size
    check_size(size)
    shapes = expect(row.get("annotations", []), list, "annotations")
    photo.labelled = bool(shapes)
    groups = ObjectGroups()
    for number, shape in enumerate(shapes):
        where, label = f"annotations[{number}]", ""
        try:
            expect(shape, dict, "the shape")
            kind, label = str(shape.get("type")), _label(shape, names)
            if kind not in _DRAWN:
                photo.drop("no_area", where, label, f"{kind} has no area")
                continue
            together = f"group {shape['group']}" if shape.get("group") else where
            order, attributes = shape.get("z_order"), shape.get("attributes")
            groups.add(
                label,
                together,
                _draw(shape, kind, size),
                order=order if isinstance(order, int) else 0,
                is_box=kind == "bbox",
                occluded=isinstance(attributes, dict) and attributes.get("occluded") is True,
            )
        except DataError as error:
            photo.drop("broken_shape", where, label, str(error))
    groups.add_to(photo)


def _label(shape: dict[str, Any], names: list[str]) -> str:
    number = shape.get("label_id")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < len(names):
        raise DataError(f"label_id is {number!r:.40}, but there are {len(names)} labels, from 0")
    return names[number]


def _draw(shape: dict[str, Any], kind: str, size: Size) -> Rle:
    if kind == "mask":
        return from_segmentation(shape.get("rle"), *size)
    if kind == "bbox":
        box = numbers(shape.get("bbox"), "bbox")
        if len(box) != 4:
            raise DataError(f"bbox has {len(box)} numbers; it is x, y, width and height")
        return draw_rectangle([box[:2], [box[0] + box[2], box[1] + box[3]]], size)
    flat = numbers(shape.get("points"), "points")
    if len(flat) % 2:
        raise DataError(f"points has {len(flat)} numbers, which are no pairs of x and y")
    return draw_polygon(list(zip(flat[::2], flat[1::2], strict=True)), size)
