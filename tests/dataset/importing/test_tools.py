"""Files that the tools themselves wrote (see `tools/README.md`) give the masks that they were made from."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_files import Mask, drawn, objects_of
from PIL import Image
from pycocotools import mask as pycoco

from clothseg.dataset.importing import ImportOptions, detect, import_dataset

TOOLS = Path(__file__).with_name("tools")
SIZE = (36, 48)
Objects = list[tuple[str, Mask]]


def masks_of(stem: str) -> Objects:
    rows = json.loads((TOOLS / "truth.json").read_text())[stem]
    return [(name, pycoco.decode(rle).astype(bool)) for name, rle in rows]


def polygons_of(stem: str) -> Objects:
    rows = json.loads((TOOLS / "polygons.json").read_text())[stem]
    return [(name, drawn([[side for point in points for side in point]], SIZE)) for name, points in rows]


def labelme(stem: str) -> Objects:
    return [*masks_of(stem), *((f"{name} polygon", mask) for name, mask in polygons_of(stem))]


def supervision(stem: str) -> Objects:
    """The tool wrote each part as an object of its own, and filled the hole."""
    lines = (TOOLS / "supervision-yolo" / "train" / "labels" / f"{stem}.txt").read_text().splitlines()
    objects = []
    for line in lines:
        number, *sides = line.split()
        scaled = [float(side) * SIZE[1 - place % 2] for place, side in enumerate(sides)]
        objects.append((["Dress", "Jeans"][int(number)], drawn([scaled], SIZE)))
    return objects


def supervisely(stem: str) -> Objects:
    tree: dict[str, Any] = json.loads((TOOLS / "supervisely" / "ds" / "ann" / f"{stem}.jpg.json").read_text())
    points = tree["objects"][-1]["points"]
    outside, (hole,) = points["exterior"], points["interior"]
    flat = [[side for point in ring for side in point] for ring in (outside, hole)]
    return [*masks_of(stem), ("Dress", drawn(flat[:1], SIZE) & ~drawn(flat[1:], SIZE))]


def voc_polygons(stem: str) -> Objects:
    """supervision writes each part as an object of its own, with numbers that begin at 1."""
    tree = ET.parse(TOOLS / "supervision-voc" / "annotations" / f"{stem}.xml")
    size = (int(tree.findtext("size/height", "")), int(tree.findtext("size/width", "")))
    return [
        (shape.findtext("name", ""), drawn([[int(side.text or "") - 1 for side in shape.iterfind("polygon/*")]], size))
        for shape in tree.iterfind("object")
    ]


def label_maps(tool: str, suffix: str, stem: str) -> Objects:
    """labelme's script writes both maps as PNG with a palette."""
    names = (TOOLS / tool / "class_names.txt").read_text(encoding="utf-8").splitlines()
    classes, objects = (
        np.asarray(Image.open(TOOLS / tool / f"Segmentation{kind}{suffix}" / f"{stem}.png"))
        for kind in ("Class", "Object")
    )
    return [(names[classes[objects == n][0]], objects == n) for n in np.unique(objects) if n]


STEMS: dict[str, tuple[str, Callable[[str], Objects]]] = {
    "supervision-voc": ("voc-boxes", voc_polygons),
    "labelme2voc": ("voc", partial(label_maps, "labelme2voc", "")),
    "labelme2voc-old": ("voc", partial(label_maps, "labelme2voc-old", "PNG")),
}


@pytest.mark.parametrize("tool", STEMS)
def test_names_of_any_script_and_every_version(tool: str, tmp_path: Path) -> None:
    """Pictures in folders such as `SegmentationClassVisualization` are no photos."""
    form, objects = STEMS[tool]
    assert detect(TOOLS / tool) == form
    summary = import_dataset(TOOLS / tool, tmp_path / "out", ImportOptions(keep_unlabelled=True))
    assert summary.dropped == ()
    want = {stem: sorted((n, m.tobytes()) for n, m in objects(stem)) for stem in ("Mäntel 外套", "skirt 2")}
    assert objects_of(tmp_path / "out") == want


EXPECTED: dict[str, tuple[str, Callable[[str], Objects]]] = {
    "labelme": ("labelme", labelme),
    "supervision-yolo": ("yolo", supervision),
    "label-studio-yolo": ("yolo", polygons_of),
    "datumaro-cvat": ("cvat-xml", lambda stem: [*masks_of(stem), *polygons_of(stem)]),
    "datumaro-voc": ("voc", masks_of),
    "supervisely": ("supervisely", supervisely),
}


@pytest.mark.parametrize("tool", EXPECTED)
def test_files_of(tool: str, tmp_path: Path) -> None:
    form, objects = EXPECTED[tool]
    assert detect(TOOLS / tool) == form
    summary = import_dataset(TOOLS / tool, tmp_path / "out")
    assert summary.dropped == ()
    want = {stem: sorted((name, mask.tobytes()) for name, mask in objects(stem)) for stem in ("coat", "skirt")}
    assert objects_of(tmp_path / "out") == want
    assert all(np.frombuffer(pixels, dtype=bool).any() for rows in want.values() for _, pixels in rows)
