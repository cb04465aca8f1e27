"""`CocoLikeDataset`: every form of segmentation, photos without instances, and wrong files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as referee

from clothseg.dataset import CocoLikeDataset
from clothseg.errors import DataError

POLYGONS = [[2.0, 2, 20, 2, 20, 12, 2, 12], [25.0, 5, 35, 5, 30, 18]]


def write(folder: Path, **changes: Any) -> Path:
    (folder / "images").mkdir(parents=True)
    (folder / "annotations").mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (40, 20), "grey").save(folder / "images" / name)
    crowd = np.zeros((20, 40), np.uint8)
    crowd[10:, 30:] = 1
    rle = referee.encode(np.asfortranarray(crowd))
    tree = {
        "images": [
            {"id": 0, "file_name": "a.png", "height": 20, "width": 40},
            {"id": 9, "file_name": "b.png", "height": 20, "width": 40},
        ],
        "categories": [{"id": 7, "name": "Dress, long"}, {"id": 3, "name": "Suit"}],
        "annotations": [
            {"id": 1, "image_id": 0, "category_id": 7, "segmentation": POLYGONS, "iscrowd": 0},
            {
                "id": 2,
                "image_id": 0,
                "category_id": 3,
                "iscrowd": 1,
                "segmentation": {"size": [20, 40], "counts": rle["counts"].decode()},
            },
            {"id": 3, "image_id": 0, "category_id": 3, "segmentation": {"size": [20, 40], "counts": [40, 5, 755]}},
        ],
    } | changes
    (folder / "annotations" / "train.json").write_text(json.dumps(tree))
    return folder


def test_every_form_is_read(tmp_path: Path) -> None:
    data = CocoLikeDataset().load_data(write(tmp_path / "d")).prepare(clean_name=True)
    assert data.class_names == ["background", "Suit", "Dress"]
    assert data.map_source_class_id(7) == data.map_source_class_id("coco.7") == 2
    assert data.source_class_id(2) == 7
    found = data.load_instances(0)
    theirs = referee.decode(referee.merge(referee.frPyObjects(POLYGONS, 20, 40))).astype(bool)
    assert np.array_equal(found.masks.pixels()[0].numpy(), theirs)
    assert found.crowd.tolist() == [False, True, False]
    assert found.classes.tolist() == [2, 1, 1]
    assert found.boxes[1].tolist() == [30, 10, 40, 20]
    assert found.boxes[2].tolist() == [2, 0, 3, 5]
    masks, classes = data.load_mask(0)
    assert masks.shape == (20, 40, 3)
    assert classes.tolist() == [2, 1, 1]
    empty = data.load_instances(1)
    assert len(empty) == 0
    assert empty.masks.pixels().shape == (0, 20, 40)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"annotations": [{"id": 5, "image_id": 1, "category_id": 7, "segmentation": POLYGONS}]}, "names photo 1"),
        ({"annotations": [{"id": 5, "image_id": 0, "category_id": 8, "segmentation": POLYGONS}]}, "annotation 5"),
        ({"annotations": [{"id": 5, "image_id": 0, "category_id": 7, "segmentation": []}]}, "annotation 5: neither"),
        ({"images": [{"id": 1.5, "file_name": "a.png", "height": 20, "width": 40}]}, "must be a whole number"),
        ({"categories": [{"id": -1, "name": "Suit"}]}, "ids start at 1"),
        ({"categories": [{"id": 7, "name": "Suit"}, {"id": 7, "name": "Tie"}]}, "category 7: id 7 is also the id of"),
        ({"categories": [{"id": 7, "name": "Tie"}, {"id": 3, "name": "tie "}]}, "differ only in case or spaces"),
    ],
)
def test_wrong_files_are_errors(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        CocoLikeDataset().load_data(write(tmp_path / "d", **changes))


def test_a_broken_annotation_is_named(tmp_path: Path) -> None:
    bad = {"annotations": [{"id": 77, "image_id": 0, "category_id": 7, "segmentation": [[1, 2]]}]}
    with pytest.raises(DataError, match=r"train\.json: annotation 77: "):
        CocoLikeDataset().load_data(write(tmp_path / "d", **bad))


def test_a_photo_of_another_size_is_an_error(tmp_path: Path) -> None:
    data = CocoLikeDataset().load_data(write(tmp_path / "d")).prepare()
    Image.new("RGB", (41, 20)).save(tmp_path / "d" / "images" / "a.png")
    with pytest.raises(DataError, match="20 x 41"):
        data.load_image(0)


def test_repr_is_one_short_line(tmp_path: Path) -> None:
    data = CocoLikeDataset().load_data(write(tmp_path / "d"))
    file = tmp_path / "d" / "annotations" / "train.json"
    assert repr(data) == f"CocoLikeDataset(2 photos, 3 annotations, 2 classes, {file})"
    assert repr(CocoLikeDataset()) == "CocoLikeDataset(0 photos, 0 annotations, 0 classes)"
