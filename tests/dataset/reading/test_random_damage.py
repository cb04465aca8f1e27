"""Random damage: a file is used by all or refused by all, and the only exception is `DataError`."""

import copy
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from damage import damage

from clothseg.dataset import CocoLikeDataset
from clothseg.dataset.doctor import examine
from clothseg.dataset.reading import RULES, Action
from clothseg.errors import DataError
from clothseg.evaluation.truth import read_truth

from .conftest import Tree, write_json

ODD: list[Any] = [
    None, True, False, "", "7", "x", " ", "007", "1e3", -1, 0, 1, 2, 0.5, 1.0, 10**30, 1e300,
    float("nan"), float("inf"),
    [], {}, [[]], [None], [[1, 2]], [[1, 2, 3, 4, 5]], ["a"], [["1", "2", "3", "4", "5", "6"]], [[None] * 6],
    {"size": [1, 1], "counts": "1"}, {"size": "x", "counts": 5}, {"counts": []}, {"size": [60, 80], "counts": [4800]},
    {"size": [60.0, 80.0], "counts": ["10", 4790.0]}, {"size": [60, 80], "counts": "b'x"}, {"size": [60, 80]},
    [[1e200, 1, 2, 3, 4, 1e200]], [0, 0, 0, 0], [1, 2, 1e308, 1e308], "../../x", "\0", "a" * 5000, "%zz", "http://[x",
    "/data/local-files/?d=%00", "\ud800", {"size": [10**9, 10**9], "counts": [10**18]}, {"a": {"b": []}},
]  # fmt: skip


def attempt(action: Callable[[], Any]) -> str:
    """The message of the error; empty without one."""
    try:
        action()
    except DataError as error:
        return str(error)
    return ""


def compare(folder: Path, content: Tree) -> bool:
    """Whether the file was used; fails if the readers do not agree."""
    file = write_json(folder / "annotations" / "train.json", content)
    data = CocoLikeDataset()
    refused = attempt(lambda: data.load_data(folder).prepare())
    truth_refused = attempt(lambda: read_truth(file))
    assert len(refused) < 1000
    try:
        findings = examine([folder], min_instances=0).findings
    except DataError as error:
        assert refused
        assert str(error) == refused
        return False
    rules = [f for f in findings if f.kind in RULES and RULES[f.kind].action == Action.REFUSED]
    assert bool(refused) == bool(rules), (refused, rules)
    if refused:
        assert any(str(DataError(finding.message))[:80] in refused for finding in rules)  # long ones lose their middle
        return False
    assert not truth_refused
    for position in range(len(data)):
        data.load_instances(position)
    return True


def try_many(dataset: Callable[..., Path], seeds: range) -> int:
    folder = dataset(lambda tree: None)
    used = 0
    plain = json.loads((folder / "annotations" / "train.json").read_text())
    for seed in seeds:
        generator = random.Random(seed)
        content = copy.deepcopy(plain)
        for _ in range(generator.choice([1, 1, 2, 5, 20])):
            damage(content, ODD, generator)
        used += compare(folder, content)
    return used


def test_readers_agree_on_damaged_files(dataset: Callable[..., Path]) -> None:
    used = try_many(dataset, range(200))
    assert 20 < used < 180


@pytest.mark.slow
def test_readers_agree_on_many_damaged_files(dataset: Callable[..., Path]) -> None:
    try_many(dataset, range(1000, 6000))
