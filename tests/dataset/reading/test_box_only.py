"""Objects with a box and no mask: read as labels, counted by the doctor, kept by the cleaned copy."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pycocotools import mask as referee

from clothseg.dataset import CocoLikeDataset
from clothseg.dataset.doctor import Severity, examine, write_cleaned
from clothseg.dataset.reading import describe_corrections

from .conftest import SIZE, Tree, square
from .test_rules import all_of, first

MakeDataset = Callable[[Callable[[Tree], Any]], Path]
WAYS: dict[str, Any] = {"empty list": [], "empty object": {}, "null": None, "missing": ...}


@pytest.mark.parametrize("given", WAYS.values(), ids=WAYS.keys())
def test_a_box_without_a_mask_is_an_object(given: Any, dataset: MakeDataset) -> None:
    data = CocoLikeDataset().load_data(dataset(first(segmentation=given, bbox=[5.25, 8, 20, 21]))).prepare()
    found = data.load_instances(0)
    assert found.has_mask.tolist() == [False, True]
    assert found.boxes.tolist() == [[5.25, 8, 25.25, 29], [45, 30, 65, 50]]
    assert found.classes.tolist() == [1, 2]
    assert found.crowd.tolist() == [False, False]
    assert found.masks.pixels().sum(dim=(1, 2)).tolist() == [0, 400]
    assert found.mask_arrays().shape == (2, *SIZE)
    assert "without a mask 1" in repr(found)
    assert [annotation["id"] for annotation in data.images[0].annotations] == [1, 2]
    (noted,) = data.corrections
    assert (noted.kind, noted.count) == ("box_only", 1)
    assert "objects with a box and no mask (1)" in describe_corrections("train.json", data.corrections)


def test_the_box_is_cut_at_the_edges_and_may_be_written_as_text(dataset: MakeDataset) -> None:
    change = first(segmentation=[], bbox=["-4", "50", "20", "30"], area=None, iscrowd=None)
    found = CocoLikeDataset().load_data(dataset(change)).prepare().load_instances(0)
    assert found.boxes[0].tolist() == [0, 50, 16, 60]
    assert found.has_mask.tolist() == [False, True]


def test_a_box_without_extent_is_skipped_like_a_mask_without_pixels(dataset: MakeDataset) -> None:
    folder = dataset(first(segmentation=[], bbox=[10, 10, 0, 5]))
    assert CocoLikeDataset().load_data(folder).prepare().load_instances(0).classes.tolist() == [2]


def test_a_mask_without_pixels_is_no_box(dataset: MakeDataset) -> None:
    """Somebody drew it, and it is empty: nothing says that the box is right."""
    change = first(segmentation={"size": [*SIZE], "counts": [SIZE[0] * SIZE[1]]})
    data = CocoLikeDataset().load_data(dataset(change)).prepare()
    assert data.load_instances(0).classes.tolist() == [2]
    assert data.corrections == ()


def test_a_crowd_without_a_mask_is_the_area_of_its_box(dataset: MakeDataset) -> None:
    data = CocoLikeDataset().load_data(dataset(first(segmentation=[], iscrowd=1))).prepare()
    found = data.load_instances(0)
    assert found.crowd.tolist() == [True, False]
    assert found.has_mask.all()
    expected = referee.decode(referee.frPyObjects([square(5, 8)], *SIZE))[..., 0]
    assert (found.mask_arrays()[0] == expected).all()
    assert [correction.kind for correction in data.corrections] == ["crowd_box"]


def test_the_doctor_counts_boxes_by_file_and_class(dataset: MakeDataset) -> None:
    def change(tree: Tree) -> None:
        for row in tree["annotations"][:3]:
            row["segmentation"] = []

    folder = dataset(change)
    diagnosis = examine([folder], min_instances=0)
    (found,) = diagnosis.findings
    assert (found.kind, found.severity) == ("box_only", Severity.WARNING)
    assert found.message == "3 of 6 objects have a box and no mask: 'Suit' 2, 'Dress' 1"


def test_the_cleaned_copy_keeps_boxes_and_their_ids(dataset: MakeDataset, tmp_path: Path) -> None:
    folder = dataset(all_of(first(segmentation=[], area=None), first("images", width="80")))
    cleaned = write_cleaned(examine([folder], min_instances=0), tmp_path / "clean")
    assert cleaned.removed == ()
    tree = json.loads((cleaned.folder / "annotations" / "train.json").read_text())
    assert [row["id"] for row in tree["annotations"]] == [1, 2, 3, 4, 5, 6]
    kept = tree["annotations"][0]
    assert (kept["segmentation"], kept["bbox"], kept["area"]) == ([], [5, 8, 20, 20], 400)
    assert [f.kind for f in examine([cleaned.folder], min_instances=0).findings] == ["box_only"]


@pytest.mark.parametrize(
    ("box", "kind"), [([5, 8, 0, 20], "zero_box"), ([75, 8, 20, 20], "box_off_photo"), ([5, 8, 20, 20], "")]
)
def test_the_cleaned_copy_leaves_out_boxes_that_teach_nothing(
    box: list[float], kind: str, dataset: MakeDataset, tmp_path: Path
) -> None:
    folder = dataset(first(segmentation=[], bbox=box))
    diagnosis = examine([folder], min_instances=0)
    assert {f.kind for f in diagnosis.findings} - {"box_only"} == ({kind} if kind else set())
    cleaned = write_cleaned(diagnosis, tmp_path / "clean")
    assert cleaned.annotations == (5 if kind else 6)
    assert examine([cleaned.folder], min_instances=0).count(Severity.ERROR) == 0


@pytest.mark.parametrize("other", [{"segmentation": []}, {}], ids=["a box", "a mask"])
def test_a_box_around_an_object_that_is_there_already(other: Tree, dataset: MakeDataset) -> None:
    def change(tree: Tree) -> None:
        tree["annotations"][0] |= other
        same = {"id": 70, "image_id": 1, "category_id": 1, "bbox": [5.5, 8, 20, 20.5], "area": 410, "iscrowd": 0}
        other_class = {**same, "id": 71, "category_id": 2}
        beside = {**same, "id": 72, "bbox": [8, 8, 20, 20]}  # IoU 17 / 23
        tree["annotations"] += [same, other_class, beside]

    found = examine([dataset(change)], min_instances=0).by_kind()["duplicate_instance"]
    assert [(f.location.annotation_id, f.other and f.other.annotation_id) for f in found] == [(70, 1)]
