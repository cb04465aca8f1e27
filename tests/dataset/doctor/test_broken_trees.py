"""Random damage to the JSON never raises an unexpected error, and the cleaned copy is always valid."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from damage import damage

from clothseg.dataset import CocoLikeDataset
from clothseg.dataset.doctor import Severity, examine, write_cleaned
from clothseg.dataset.doctor.page import write_page
from clothseg.errors import DataError

DataSet = Any  # of conftest.py
WEIRD: list[Any] = [
    None, True, "", "7", "x", -1, 0, 1, 2, 0.5, 1.0, 10**30, 1e300, float("nan"), float("inf"), [], {}, [[]], [None],
    [[1, 2]], [[1, 2, 3]], ["a"], {"size": [1, 1], "counts": "1"}, {"size": "x", "counts": 5}, {"counts": []},
    [[1e200, 1, 2, 3, 4, 1e200]], [0, 0, 0, 0], [1, 2, 1e308, 1e308], "../../x", "\0", "a" * 5000,
    {"size": [10**9, 10**9], "counts": [10**18]}, {"size": [-1, -1], "counts": [1]},
]  # fmt: skip


def small(data: DataSet) -> None:
    for tree in data.trees.values():
        tree["images"] = tree["images"][:3]
        ids = {i["id"] for i in tree["images"]}
        tree["annotations"] = [a for a in tree["annotations"] if a["image_id"] in ids]
        del tree["info"], tree["licenses"]


def check_damaged(data: DataSet, seed: int) -> int:
    """Damages the dataset, checks and cleans it. Returns the number of findings."""
    generator = random.Random(seed)
    trees = json.loads(json.dumps(data.trees))
    for _ in range(generator.choice([1, 2, 5, 20])):
        damage(data.trees[generator.choice(["train", "val"])], WEIRD, generator)
    data.save()
    data.trees = trees
    try:
        diagnosis = examine([data.folder])
    except DataError:
        return 0
    write_page(diagnosis, data.folder.parent / "page.html")
    json.dumps(diagnosis.as_dict())
    clean = data.folder.parent / "clean"
    try:
        write_cleaned(diagnosis, clean, overwrite=True)
    except DataError:
        assert not clean.exists()
        return len(diagnosis.findings)
    again = examine([clean])
    assert [f for f in again.findings if f.severity == Severity.ERROR] == []
    for file in (clean / "annotations").iterdir():
        loaded = CocoLikeDataset().load_data(clean, file.stem).prepare()
        for position in range(len(loaded)):
            loaded.load_image(position)
            loaded.load_instances(position)
    shutil.rmtree(clean)
    return len(diagnosis.findings)


@pytest.mark.parametrize("start", [0])
def test_random_damage(start: int, data: DataSet) -> None:
    small(data)
    assert sum(check_damaged(data, start + seed) > 0 for seed in range(30)) > 22


@pytest.mark.slow
def test_much_random_damage(data: DataSet) -> None:
    small(data)
    for seed in range(5000, 7000):
        check_damaged(data, seed)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("", "cannot be read as JSON"),
        ("[" * 100_000, "cannot be read as JSON"),
        ("[]", "not a COCO instances file"),
        ('{"a": 1}', "not a COCO instances file"),
    ],
)
def test_a_file_that_is_not_coco_is_wrong_input(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=message):
        examine([tmp_path / "a.json"])


def test_missing_inputs_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        examine([tmp_path / "nothing"])
    with pytest.raises(DataError, match="an empty folder, not a dataset"):
        examine([tmp_path])
