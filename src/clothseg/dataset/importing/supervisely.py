"""Supervisely: `meta.json`, and in each dataset `img/` with photos and `ann/` with a JSON file for each.

Source: the pages on Supervisely's annotation format. Polygons have holes (`interior`); a bitmap is a PNG, packed with
zlib and base64, with its corner in `origin`. Objects of one `instance` are parts of one object.
"""

import io
import zlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from clothseg.counting import counted
from clothseg.dataset.importing.drawing import (
    MAX_PIXELS,
    check_size,
    corners,
    draw_polygon,
    draw_rectangle,
    place_mask,
)
from clothseg.dataset.importing.labelme import decode_base64
from clothseg.dataset.importing.labels import LabelledPhoto, LabelSource, PhotoIndex, Size, name_in, read_each
from clothseg.dataset.importing.trees import expect, json_tree
from clothseg.dataset.importing.yolo_layout import SPLITS
from clothseg.errors import DataError, shown
from clothseg.instances import Rle, mask_union
from clothseg.instances.rle import BoolMask

_NO_AREA = frozenset({"point", "line", "polyline", "graph", "cuboid", "cuboid_2d"})
_MOST_BYTES = 64 << 20  # of one packed bitmap; a PNG of a mask is far smaller


def read_supervisely(source: Path) -> LabelSource:
    """Finds the datasets of a project.

    A dataset called `train`, `val` or `test` is that split. Supervisely writes a JSON file for every photo, so the
    files do not say whether a photo without objects was labelled.

    Raises:
        DataError: `meta.json` is missing or broken, or there is no folder `ann`.
    """
    meta = source / "meta.json"
    tree = json_tree(meta)
    names = [
        str(expect(expect(row, dict, f"{meta}: a class").get("title"), str, f"{meta}: title of a class"))
        for row in expect(tree.get("classes"), list, f"{meta}: classes")
    ]
    files = sorted((f for f in source.rglob("*.json") if f.parent.name == "ann"), key=lambda path: path.parts)
    if not files:
        raise DataError(f"{source}: no JSON file in a folder ann; give the folder of the project")
    index = PhotoIndex(source)

    def start(file: Path) -> LabelledPhoto:
        folder = file.parent.parent
        parts = [part.lower() for part in folder.relative_to(source).parts]
        split = next((SPLITS[part] for part in reversed(parts) if part in SPLITS), "")
        photo = index.find(file.stem, near=folder / "img") or folder / "img" / file.stem
        return LabelledPhoto(photo, name_in(source, photo), split=split)

    def photos() -> Iterator[LabelledPhoto]:
        return read_each(files, start, _read)

    return LabelSource(
        "supervisely",
        f"Supervisely: {counted(len(files), 'label file')}, {counted(len(index.paths), 'photo')}, "
        f"{counted(len(names), 'class', 'classes')}",
        names,
        len(files),
        photos,
        [meta],
        "Supervisely does not say whether a photo without objects was labelled",
    )


def _read(file: Path, photo: LabelledPhoto) -> None:
    tree = json_tree(file)
    sizes = expect(tree.get("size"), dict, f"{file}: size")
    size = photo.size = (
        expect(sizes.get("height"), int, f"{file}: size.height"),
        expect(sizes.get("width"), int, f"{file}: size.width"),
    )
    check_size(size)
    rows = expect(tree.get("objects"), list, f"{file}: objects")
    photo.labelled = bool(rows)
    grouped: dict[tuple[str, str], list[Rle]] = defaultdict(list)
    for number, row in enumerate(rows):
        where = f"objects[{number}]"
        try:
            row = expect(row, dict, "the object")  # noqa: PLW2901
            name = str(expect(row.get("classTitle"), str, "classTitle"))
            kind = expect(row.get("geometryType"), str, "geometryType")
            if kind in _NO_AREA:
                photo.drop("no_area", where, name, f"{kind} has no area")
                continue
            mask, instance = _draw(row, kind, size), row.get("instance")
            key = f"instance {instance}" if isinstance(instance, str) and instance else where
            grouped[name, key].append(mask)
        except DataError as error:
            photo.drop("broken_shape", where, "", str(error))
    for (name, _), masks in grouped.items():
        photo.add(name, mask_union(masks))


def _draw(row: dict[str, Any], kind: str, size: Size) -> Rle:
    if kind in {"bitmap", "alpha_mask"}:
        bitmap = expect(row.get("bitmap"), dict, "bitmap")
        (left, top), *_ = corners([bitmap.get("origin")], "bitmap.origin")
        return place_mask(_bitmap(bitmap.get("data")), round(left), round(top), size)
    if kind not in {"polygon", "rectangle"}:
        raise DataError(f"geometryType {shown(kind)} is unknown; known are polygon, bitmap and rectangle")
    points = expect(row.get("points"), dict, "points")
    outside = corners(points.get("exterior"), "points.exterior")
    if kind == "rectangle":
        return draw_rectangle(outside, size)
    holes = [corners(hole, "points.interior") for hole in expect(points.get("interior", []), list, "points.interior")]
    return draw_polygon(outside, size, holes)


def _bitmap(text: object) -> BoolMask:
    """The mask `[h, w]` of a packed PNG: where alpha, or else the value, is not 0."""
    content = decode_base64(text, "bitmap.data")
    try:
        if not content.startswith(b"\x89PNG"):
            content = zlib.decompressobj().decompress(content, _MOST_BYTES)
        with Image.open(io.BytesIO(content), formats=("PNG",)) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise DataError(f"bitmap.data has more than {MAX_PIXELS:,} pixels")
            values = np.asarray(picture.convert("RGBA") if picture.mode == "P" else picture)
    except DataError:
        raise
    except Exception as error:  # Pillow's types for damaged files are many
        raise DataError(f"bitmap.data cannot be read ({error})") from error
    if values.ndim == 3:
        transparent = values.shape[2] in {2, 4} and (values[..., -1] < 255).any()
        values = values[..., -1 if transparent else 0]
    mask: BoolMask = values > 0
    return mask
