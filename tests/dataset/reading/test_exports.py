"""COCO files that the tools themselves wrote (see `exports/README.md`), held against the masks they were made from."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as pycoco
from pycocotools.coco import COCO

from clothseg.dataset import CocoLikeDataset
from clothseg.dataset.doctor import Severity, examine, write_cleaned
from clothseg.dataset.photo_search import find_photos
from clothseg.errors import DataError
from clothseg.evaluation import evaluate_coco, truth_of

EXPORTS = Path(__file__).parent / "exports"
Mask = NDArray[np.bool_]
Objects = list[tuple[str, Mask]]
RING, PARTS = 0, 1


def masks_of(stem: str) -> Objects:
    """What was given to FiftyOne, supervision and Label Studio."""
    rows = json.loads((EXPORTS / "masks.json").read_text(encoding="utf-8"))[stem]
    return [(name, pycoco.decode(rle).astype(bool)) for name, rle in rows]


def without_hole(stem: str) -> Objects:
    """FiftyOne writes a hole as one more polygon, and Label Studio the outline alone: in COCO both are filled."""
    found = masks_of(stem)
    if stem.startswith("M"):
        filled = found[RING][1].copy()
        filled[4:31, 5:31] = True
        found[RING] = (found[RING][0], filled)
    return found


def in_parts(stem: str) -> Objects:
    """Label Studio makes each part an object."""
    found = without_hole(stem)
    if stem.startswith("M"):
        name, both = found.pop(PARTS)
        count, parts = cv2.connectedComponents(both.astype(np.uint8))
        found += [(name, parts == number) for number in range(1, count)]
    return found


def shapes_of(stem: str, *, groups: bool = True) -> Objects:
    """What was drawn for labelme's converters."""
    found: dict[object, tuple[str, Mask]] = {}
    rows = json.loads((EXPORTS / "shapes.json").read_text(encoding="utf-8"))[stem]
    for number, (name, kind, points, group) in enumerate(rows):
        mask = np.zeros((37, 61) if stem.startswith("M") else (53, 40), np.uint8)
        if kind == "circle":
            radius = int(np.hypot(*np.subtract(*points)))
            cv2.circle(mask, [round(side) for side in points[0]], radius, 1, -1)
        elif kind == "rectangle":
            first, last = ([int(side) for side in point] for point in points)
            cv2.rectangle(mask, first, last, 1, -1)
        else:
            cv2.fillPoly(mask, [np.rint(points).astype(np.int32)], 1)
        key = number if group is None or not groups else (name, group)
        other = found.get(key, (name, np.zeros(mask.shape, bool)))[1]
        found[key] = (name, other | mask.astype(bool))
    return list(found.values())


def drawn_shapes(stem: str) -> Objects:
    """The script of labelme leaves out the label `__ignore__`."""
    return [(name, mask) for name, mask in shapes_of(stem) if name != "__ignore__"]


TOOLS: dict[str, tuple[Callable[[str], Objects], int, set[str]]] = {
    "fiftyone": (without_hole, 2, {"wrong_area"}),
    "supervision": (masks_of, 1, {"wrong_area"}),
    "label_studio_brush": (in_parts, 1, {"id_below_one", "wrong_area"}),
    "labelme2coco": (drawn_shapes, 1, {"id_below_one", "unused_root_class", "two_corners"}),
}
"""The masks that the tool was given, without what it loses by itself; by how many pixels its outlines may differ; and
what `dataset check` warns about."""
Export = tuple[Path, Callable[[str], Objects], int, set[str]]


@pytest.fixture(params=TOOLS)
def export(request: pytest.FixtureRequest, tmp_path: Path) -> Export:
    shutil.copytree(EXPORTS / request.param, tmp_path / "export")
    return tmp_path / "export", *TOOLS[request.param]


def near_edge(mask: Mask, pixels: int) -> Mask:
    """Where an outline is near: tools trace it differently."""
    cell = np.ones((2 * pixels + 1, 2 * pixels + 1), np.uint8)
    padded = np.pad(mask.astype(np.uint8), pixels)
    ring = cv2.dilate(padded, cell) - cv2.erode(padded, cell)
    return ring[pixels:-pixels, pixels:-pixels].astype(bool)


def test_the_masks_are_those_of_the_source(export: Export) -> None:
    folder, source, pixels, _ = export
    data = CocoLikeDataset().load_data(folder, "train").prepare()
    assert sorted(data.classes) == ["Kleid ä", "外套"]
    for position, entry in enumerate(data.images):
        found = data.load_instances(position)
        assert data.load_image(position).shape[:2] == (entry.height, entry.width)
        want = source(entry.path.stem)
        names = [data.classes[label - 1] for label in found.classes.tolist()]
        assert sorted(names) == sorted(name for name, _ in want)
        masks = list(zip(names, found.masks.pixels(), strict=True))
        for name, mask in want:
            assert any(n == name and not (m.numpy() ^ mask)[~near_edge(mask, pixels)].any() for n, m in masks), name


def test_the_masks_are_those_of_pycocotools(export: Export) -> None:
    folder, _, _, _ = export
    data = CocoLikeDataset().load_data(folder, "train").prepare()
    truth = COCO(str(data.source))
    for position, entry in enumerate(data.images):
        for row, found in zip(
            truth.loadAnns(truth.getAnnIds(imgIds=[entry.id])),
            data.load_instances(position).masks.pixels(),
            strict=True,
        ):
            if len(row["segmentation"][0] if isinstance(row["segmentation"], list) else ()) == 4:  # not for pycocotools
                x, y, width, height = map(int, row["bbox"])
                row["segmentation"] = [[x, y, x + width, y, x + width, y + height, x, y + height]]
            assert np.array_equal(found.numpy(), truth.annToMask(row).astype(bool))


def test_check_and_evaluate_take_it(export: Export) -> None:
    folder, _, _, warnings = export
    diagnosis = examine([folder], min_instances=0)
    assert diagnosis.count(Severity.ERROR) == 0
    assert {finding.kind for finding in diagnosis.findings} <= warnings
    data = CocoLikeDataset().load_data(folder, "train").prepare()
    assert [path.name for path in find_photos([folder], datasets=True)] == [entry.path.name for entry in data.images]
    rows: list[Any] = [
        {
            **{"image_id": entry.id, "category_id": row["category_id"]},
            **{"segmentation": rle, "bbox": row["bbox"], "score": 0.9},
        }
        for position, entry in enumerate(data.images)
        for row, rle in zip(entry.annotations, data.load_instances(position).masks.rle(), strict=True)
    ]
    metrics = evaluate_coco(truth_of(data), rows)
    assert metrics.overall["mask_AP"] == pytest.approx(1)


def test_the_package_labelme2coco_counts_classes_alone_from_zero(tmp_path: Path) -> None:
    """Class 0 may be background, so the file is refused, and the cleaned copy has the masks."""
    folder = tmp_path / "export"
    shutil.copytree(EXPORTS / "labelme2coco_pip", folder)
    with pytest.raises(DataError, match=r"class 'Kleid ä' has id 0; .* --write-clean CLEAN` does that"):
        CocoLikeDataset().load_data(folder)
    cleaned = write_cleaned(examine([folder], min_instances=0), tmp_path / "clean").folder
    data = CocoLikeDataset().load_data(cleaned, "train").prepare()
    assert data.classes == ["Kleid ä", "外套", "__ignore__"]
    for position, entry in enumerate(data.images):
        found = data.load_instances(position)
        want = shapes_of(Path(entry.path).stem, groups=False)
        assert len(found) == len(want)
        for one, (name, mask) in zip(found, want, strict=True):
            assert data.classes[int(one.classes[0]) - 1] == name
            if one.has_mask.all():  # a rectangle has a box alone there
                assert not (one.masks.pixels()[0].numpy() ^ mask)[~near_edge(mask, 1)].any()
