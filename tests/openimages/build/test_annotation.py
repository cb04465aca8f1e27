"""Annotations from masks and boxes; pycocotools is the referee."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as referee

from clothseg import CocoLikeDataset, sample
from clothseg.openimages import BuildOptions, build_dataset

A, B, C, D = "1" * 16, "12345678e9012345", "f00000000000000f", "2" * 16
SUIT, DRESS = "/m/01xyhv", "/m/01d40f"
A, B, C = "1" * 16, "12345678e9012345", "f00000000000000f"
SUIT, DRESS, SUITCASE = "/m/01xyhv", "/m/01d40f", "/m/01s55n"


def test_area_and_box_fit_the_pixels(good: Any, tmp_path: Path, load: Any) -> None:
    pixels = np.zeros((30, 20), dtype=bool)
    pixels[0, 0] = pixels[29, 19] = True
    pixels[10:13, 5] = True
    good.mask("train", B, SUIT, "0000000a", pixels)
    build_dataset(good.write(), tmp_path / "out", ["Suit"])
    annotation = next(a for a in load(tmp_path / "out")["annotations"] if a["box_id"] == "0000000a")
    assert annotation["area"] == 5
    assert annotation["bbox"] == [0, 0, 20, 30]
    assert np.array_equal(referee.decode(annotation["segmentation"]), pixels)


def test_boxes_without_mask_become_regions(good: Any, tmp_path: Path, load: Any, pixels: Any, flagged: Any) -> None:
    summary = build_dataset(flagged, tmp_path / "out", ["Suit", "Dress"])
    found = load(tmp_path / "out")["annotations"]
    crowds = [a for a in found if a["iscrowd"]]
    assert [(a["image_id"], a["mid"], a["isgroupof"]) for a in crowds] == [(1, SUIT, 0), (1, SUIT, 1)]
    # Photos are 20 wide and 30 high; boxes go from 0.26 or 0.3 to 0.5 and from 0.25 to 0.75.
    expected = np.zeros((30, 20), dtype=bool)
    expected[8:22, 5:10] = True
    assert np.array_equal(pixels(crowds[0]), expected)
    assert crowds[0]["bbox"] == [5, 8, 5, 14]
    assert crowds[0]["area"] == 70
    assert summary.train.regions == 2
    # B's only mask is a group: a region, not an object, so B shows no object.
    assert summary.train.photos == 1


def test_boxes_without_mask_become_objects(good: Any, tmp_path: Path, load: Any) -> None:
    photo_with_boxes_only = "9" * 16
    good.box("train", "1" * 16, SUIT, 0.3, group=1)
    good.box("train", "1" * 16, SUIT, 0.26)
    good.photo("train", photo_with_boxes_only)
    good.box("train", photo_with_boxes_only, SUIT, 0.2)
    options = BuildOptions(boxes_without_mask="learn")
    summary = build_dataset(good.write(), tmp_path / "out", ["Suit", "Dress"], options)
    tree = load(tmp_path / "out")
    names = {image["id"]: image["open_images_id"] for image in tree["images"]}
    boxes = [a for a in tree["annotations"] if not a["segmentation"]]
    assert [(names[a["image_id"]], a["iscrowd"], a["isgroupof"]) for a in boxes] == [
        ("1" * 16, 0, 0), (photo_with_boxes_only, 0, 0)
    ]  # fmt: skip
    # Photos are 20 wide and 30 high; boxes go from 0.26 or 0.2 to 0.5 and from 0.25 to 0.75.
    assert boxes[0]["bbox"] == pytest.approx([5.2, 7.5, 4.8, 15])
    assert boxes[0]["area"] == pytest.approx(72)
    groups = [a for a in tree["annotations"] if a["iscrowd"]]
    assert [(names[a["image_id"]], a["isgroupof"]) for a in groups] == [("1" * 16, 1)]
    assert (summary.train.boxes, summary.train.regions, summary.train.class_boxes["Suit"]) == (2, 1, 2)
    assert summary.train.class_photos["Suit"] == 2
    data = CocoLikeDataset().load_data(tmp_path / "out").prepare()
    assert [data.load_instances(n).has_mask.sum().item() for n in range(len(data))] == [3, 1, 0]  # a group is one


def test_flags_come_from_the_box_file(good: Any, tmp_path: Path, load: Any) -> None:
    good.boxes["train"][1] = good.boxes["train"][1].replace(",0,0,0,0,0", ",1,-1,0,0,1")
    good.boxes["train"].pop(2)
    summary = build_dataset(good.write(), tmp_path / "out", ["Suit", "Dress"])
    by_box = {a["box_id"]: a for a in load(tmp_path / "out")["annotations"]}
    names = ("isoccluded", "istruncated", "isgroupof", "isdepiction", "isinside")
    assert [by_box["00000123"][n] for n in names] == [1, -1, 0, 0, 1]
    assert [by_box["00000045"][n] for n in names] == [-1] * 5
    assert summary.masks_without_box == 1


@pytest.mark.parametrize("tolerance", [0.0, 1.5])
def test_polygons_and_their_iou(tmp_path: Path, tolerance: float, load: Any) -> None:
    rle, polygons = tmp_path / "rle", tmp_path / "polygons"
    build_dataset(sample.folder(), rle, ["Suit"], BuildOptions(limit=8))
    summary = build_dataset(sample.folder(), polygons, ["Suit"], BuildOptions(limit=8, polygons=tolerance))
    worst = 1.0
    for split in ("train", "val"):
        for one, other in zip(load(rle, split)["annotations"], load(polygons, split)["annotations"], strict=True):
            height, width = one["segmentation"]["size"]
            drawn = referee.merge(referee.frPyObjects(other["segmentation"], height, width))
            iou = float(referee.iou([drawn], [one["segmentation"]], [0])[0, 0])
            assert other["polygon_iou"] == pytest.approx(iou, abs=1e-6)
            assert other["area"] == referee.area(drawn)
            worst = min(worst, iou)
    assert summary.polygons is not None
    assert summary.polygons.worst_iou == pytest.approx(worst, abs=1e-6)
    assert worst == 1.0 if tolerance == 0 else 0.9 < worst < 1.0
