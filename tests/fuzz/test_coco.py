"""Broken COCO files: every command reads them by the same rules."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzzing import Fuzz, spoil_json
from PIL import Image

from clothseg.dataset import CocoLikeDataset
from clothseg.dataset.doctor import examine
from clothseg.dataset.doctor.findings import Severity
from clothseg.errors import ClothsegError
from clothseg.evaluation.truth import read_truth
from clothseg.instances import encode

Tree = dict[str, Any]
SIZE = (24, 30)
READABLE = {
    "duplicate_instance",
    "empty_mask",
    "mask_outside",
    "all_crowd",
    "zero_box",
    "box_off_photo",
    "box_mask_mismatch",
    "wrong_area",
}
"""Kinds of errors that give wrong results, but can be trained on and evaluated."""


def tree() -> Tree:
    mask = np.zeros(SIZE, dtype=np.bool_)
    mask[3:20, 4:16] = True
    forms: list[Any] = [
        [[4, 3, 16, 3, 16, 20, 4, 20]],
        {**encode(mask)},
        {"size": list(SIZE), "counts": [99, 17, *[7, 17] * 11, 340]},
        [[4, 3, 15, 19]],
    ]
    annotations = [
        {
            **{"id": number, "image_id": 1 + number % 2, "category_id": 1 + number % 2, "segmentation": form},
            **{"bbox": [4, 3, 12, 17], "area": 204, "iscrowd": 0},
        }
        for number, form in enumerate(forms, 1)
    ]
    return {
        "info": {"description": "four squares"},
        "images": [{"id": n, "file_name": f"{n}.png", "height": SIZE[0], "width": SIZE[1]} for n in (1, 2)],
        "categories": [{"id": 1, "name": "Suit", "supercategory": "x"}, {"id": 2, "name": "Dress"}],
        "annotations": annotations,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for number in (1, 2):
        Image.fromarray(np.full((*SIZE, 3), 40 * number, dtype=np.uint8)).save(tmp_path / "images" / f"{number}.png")
    (tmp_path / "annotations").mkdir()
    return tmp_path


def test_all_commands_agree(fuzz: Fuzz, folder: Path) -> None:
    """Training, evaluation and the doctor use a file, or all refuse it."""

    def read(path: Path) -> None:
        found: Exception | None = None
        try:
            dataset = CocoLikeDataset().load_data(folder).prepare()
            for position in range(len(dataset)):
                dataset.load_image(position)
                dataset.load_instances(position)
        except ClothsegError as error:
            found = error
        kinds = {finding.kind for finding in examine([folder]).findings if finding.severity is Severity.ERROR}
        errors = kinds - READABLE
        if found is None:
            assert not errors, errors
            read_truth(path)
        else:
            assert errors, str(found)
            raise found

    fuzz(lambda rng: spoil_json(tree(), rng), read, name="annotations/train.json")


def test_the_good_file_is_read(folder: Path) -> None:
    path = folder / "annotations" / "train.json"
    path.write_text(json.dumps(tree()))
    dataset = CocoLikeDataset().load_data(folder).prepare()
    areas = [mask.sum() for position in (0, 1) for mask in dataset.load_instances(position).masks.pixels()]
    assert [int(area) for area in areas] == [204, 204, 204, 204]
    assert read_truth(path).objects == {1: 2, 2: 2}
