"""labelme: a JSON file for each photo, with a list of shapes.

Polygons, rectangles, circles and masks become objects; points and lines have no area. Shapes of one label with the
same `group_id` are parts of one object. labelme turns photos upright by their EXIF data before they are labelled.
"""

import base64
import binascii
import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clothseg.counting import counted
from clothseg.dataset.importing.drawing import (
    check_size,
    corners,
    draw_ellipse,
    draw_polygon,
    draw_rectangle,
    place_mask,
)
from clothseg.dataset.importing.labels import LabelledPhoto, LabelSource, PhotoIndex, Size, name_in, read_each, sizes_of
from clothseg.dataset.importing.trees import expect, json_tree
from clothseg.errors import DataError, shown
from clothseg.instances import Rle, mask_union, read_mask_png

_NO_AREA = frozenset({"point", "points", "line", "linestrip"})
_IGNORED = "__ignore__"
"""Shapes that labelme's own converters leave out."""


def read_labelme(source: Path) -> LabelSource:
    """Finds the JSON files of labelme and their photos.

    The photo is the file of `imagePath` (relative, with `\\` too), or the one beside the JSON file with the same name,
    or the only one of this name below `source`; else the picture in `imageData`.

    Args:
        source: a folder, searched with its subfolders, or one JSON file.

    Raises:
        DataError: there is no JSON file.
    """
    root = source.parent if source.is_file() else source
    files = [source] if source.is_file() else sorted(root.rglob("*.json"), key=lambda path: path.parts)
    if not files:
        raise DataError(f"{source}: no JSON files; labelme saves one beside each photo")
    index = PhotoIndex(root)

    def photos() -> Iterator[LabelledPhoto]:
        used: set[Path] = set()

        def read(file: Path, photo: LabelledPhoto) -> None:
            _read(file, photo, index)
            if isinstance(photo.photo, Path):
                used.add(photo.photo)

        yield from read_each(files, lambda file: LabelledPhoto(file, name_in(root, file)), read)
        for path in index.paths:
            if path not in used and not path.with_suffix(".json").is_file():
                yield LabelledPhoto(path, name_in(root, path), labelled=False)

    return LabelSource(
        "labelme",
        f"labelme: {counted(len(files), 'JSON file')}, {counted(len(index.paths), 'photo')}",
        [],
        max(len(files), len(index.paths)),
        photos,
        unlabelled_rule="a JSON file without shapes means a photo without objects; a photo without one is not labelled",
    )


def _read(file: Path, photo: LabelledPhoto, index: PhotoIndex) -> None:
    tree = json_tree(file)
    shapes = expect(tree.get("shapes"), list, f"{file}: shapes")
    if not _find_photo(file, tree, photo, index):
        return
    size = photo.size = _size(file, tree, photo)
    check_size(size)
    grouped: dict[tuple[str, Any], list[Rle]] = defaultdict(list)
    for number, shape in enumerate(shapes):
        where = f"shapes[{number}]"
        try:
            shape = expect(shape, dict, "the shape")  # noqa: PLW2901
            label = str(expect(shape.get("label"), str, "label"))
            kind = shape.get("shape_type") or "polygon"
            kind = expect(kind, str, "shape_type")
            if label == _IGNORED:
                photo.drop("ignored_label", where, label, "labelme ignores this label")
                continue
            if kind in _NO_AREA:
                photo.drop("no_area", where, label, f"{kind} has no area")
                continue
            mask, group = _draw(kind, shape, size), shape.get("group_id")
            grouped[label, where if group is None else ("group", str(group))].append(mask)
        except DataError as error:
            photo.drop("broken_shape", where, "", str(error))
    for (label, _), masks in grouped.items():
        photo.add(label, mask_union(masks))


def _draw(kind: str, shape: dict[str, Any], size: Size) -> Rle:
    points = corners(shape.get("points"), "points")
    if kind in {"polygon", "oriented_rectangle"}:
        return draw_polygon(points, size)
    if kind == "rectangle":
        return draw_rectangle(points, size)
    if kind == "circle":
        if len(points) != 2:
            raise DataError(f"a circle has its centre and a point of its rim; this one has {len(points)} points")
        radius = math.dist(*points)
        return draw_ellipse(points[0], [radius, radius], size)
    if kind == "mask":
        content = decode_base64(shape.get("mask"), "mask")
        if not points:
            raise DataError("a shape of type mask needs points, of which the first is the top left corner of the mask")
        return place_mask(read_mask_png(content), int(points[0][0]), int(points[0][1]), size)
    raise DataError(f"shape_type {shown(kind)} is unknown; known are polygon, rectangle, circle and mask")


def decode_base64(text: object, what: str) -> bytes:
    """Bytes from base64.

    Raises:
        DataError: it is not base64. The message begins with `what`.
    """
    try:
        return base64.b64decode(str(expect(text, str, what)), validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError(f"{what} is not base64 ({error})") from error


def _find_photo(file: Path, tree: dict[str, Any], photo: LabelledPhoto, index: PhotoIndex) -> bool:
    named = tree.get("imagePath")
    found = index.find(named, near=file.parent) if isinstance(named, str) and named.strip() else None
    found = found or index.find(file.stem, near=file.parent)
    if found is not None:
        photo.photo = found
        photo.name = name_in(index.root, found)
    elif isinstance(tree.get("imageData"), str):
        photo.photo = decode_base64(tree["imageData"], f"{file}: imageData")
        photo.name = name_in(index.root, file.with_name(Path(str(named or file.name).replace("\\", "/")).name))
    else:
        photo.fail(
            "missing_photo",
            f"{file}: imagePath is {shown(named)}, which is not near it, and imageData is empty; put the photo "
            "beside the JSON file",
        )
    return photo.kept


def _size(file: Path, tree: dict[str, Any], photo: LabelledPhoto) -> Size:
    size = tree.get("imageHeight"), tree.get("imageWidth")
    if all(isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in size):
        return int(size[0] or 0), int(size[1] or 0)
    if isinstance(photo.photo, Path):
        return sizes_of(photo.photo)[0]
    raise DataError(f"{file}: imageHeight and imageWidth are {size}; both must be integers above 0")


def is_labelme(tree: object) -> bool:
    """Whether the content of a JSON file is labelme's."""
    return isinstance(tree, dict) and isinstance(tree.get("shapes"), list) and "imagePath" in tree
