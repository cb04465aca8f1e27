"""LabelMe 3.0: an XML file for each photo, as LabelMe's first, web-based version had it, and as CVAT exports it.

Sources: LabelMe's page on its XML; CVAT's page on "LabelMe". Polygons are in pixels; a mask is a picture in the folder
`Masks`, beside the XML file. Objects that are `parts` of another one, under the same name, are one object with it.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from clothseg.counting import counted
from clothseg.dataset.importing.drawing import check_size, draw_polygon, numbers
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
from clothseg.dataset.importing.xml_files import first_tag, xml_root
from clothseg.dataset.importing.yolo_layout import SPLITS
from clothseg.errors import DataError
from clothseg.instances import Rle, encode
from clothseg.instances.rle import BoolMask
from clothseg.photos import open_picture

_MASKS = "Masks"


def read_labelme_xml(source: Path) -> LabelSource:
    """Finds the XML files, and the photos that they name.

    A folder called train, valid or test above a file gives the split. CVAT writes a file for every photo, so a file
    without objects does not say whether the photo was labelled.

    Raises:
        DataError: there is no XML file of this kind.
    """
    found = sorted(source.rglob("*.xml")) if source.is_dir() else []
    files = [path for path in found if first_tag(path) in {"annotation", None}]
    if not files:
        raise DataError(f"{source}: no XML file of LabelMe; give the folder that has them")
    masks = {path for path in source.rglob(_MASKS) if path.is_dir()}
    index = PhotoIndex(source, without=masks)

    def start(file: Path) -> LabelledPhoto:
        folders = [part.lower() for part in file.relative_to(source).parts[:-1]]
        split = next((SPLITS[name] for name in folders if name in SPLITS), "")
        return LabelledPhoto(file.with_suffix(".jpg"), name_in(source, file.with_suffix(".jpg")), split=split)

    def photos() -> Iterator[LabelledPhoto]:
        return read_each(files, start, lambda file, photo: _read(source, file, photo, index))

    return LabelSource(
        "labelme-xml",
        f"LabelMe 3.0: {counted(len(files), 'XML file')}, {counted(len(index.paths), 'photo')}",
        [],
        len(files),
        photos,
        [],
        "LabelMe's XML does not say whether a photo without objects was labelled",
    )


def _read(source: Path, file: Path, photo: LabelledPhoto, index: PhotoIndex) -> None:
    root = xml_root(file)
    name = "/".join(part.strip() for part in (root.findtext("folder"), root.findtext("filename")) if part)
    found = index.find(name, near=file.parent) if name else None
    if found is None:
        photo.fail("missing_photo", f"{file}: no photo {name or file.stem}")
        return
    photo.photo, photo.name = found, name_in(source, found)
    sides = [root.findtext(f"imagesize/{side}") for side in ("nrows", "ncols")]
    height, width = numbers(sides, "imagesize") if all(sides) else sizes_of(found)[0]
    size = photo.size = (int(height), int(width))
    check_size(size)
    shapes = list(root.iter("object"))
    photo.labelled = bool(shapes)
    groups = ObjectGroups()
    for number, shape in enumerate(shapes, start=1):
        label, where = (shape.findtext("name") or "").strip(), f"object {number}"
        if (shape.findtext("deleted") or "0").strip() == "1":
            photo.drop("hidden", where, label, "deleted is 1")
            continue
        try:
            mask = _draw(shape, file.parent, size)
        except DataError as error:
            photo.drop("broken_shape", where, label, str(error))
            continue
        whole = (shape.findtext("parts/ispartof") or "").strip() or (shape.findtext("id") or "").strip()
        is_box = (shape.findtext("type") or "").strip() == "bounding_box"
        occluded = (shape.findtext("occluded") or "").strip() == "yes"
        groups.add(label, whole or where, mask, order=0, is_box=is_box, occluded=occluded)
    groups.add_to(photo)


def _draw(shape: ET.Element, folder: Path, size: Size) -> Rle:
    """The mask of a polygon, of a box, which is a polygon of four corners, or of a picture."""
    outline = shape.find("polygon")
    if outline is not None:
        points = [numbers([point.findtext("x"), point.findtext("y")], "pt") for point in outline.iter("pt")]
        return draw_polygon(points, size)
    name = (shape.findtext("segm/mask") or "").strip()
    if not name:
        raise DataError("it has neither a polygon nor a mask")
    path = folder / _MASKS / PurePosixPath(name.replace("\\", "/")).name
    with open_picture(path) as picture:
        values = np.asarray(picture.convert("RGBA"))
    if values.shape[:2] != size:
        raise DataError(f"{path}: the mask has {values.shape[:2]} pixels (height, width), but the photo has {size}")
    transparent = (values[..., 3] < 255).any()
    mask: BoolMask = (values[..., 3] if transparent else values[..., :3].max(axis=2)) > 0
    return encode(mask)
