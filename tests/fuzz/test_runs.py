"""Damaged files of a run, and files of results."""

import copy
import io
import json
import random
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fuzzing import ODD_VALUES, Fuzz, spoil_bytes, spoil_json, spoil_tree

from clothseg.dataset.readable import read_left_out
from clothseg.errors import ClothsegError, RunError
from clothseg.evaluation import Metrics, evaluate_coco
from clothseg.evaluation.predicted_files import read_results_for
from clothseg.evaluation.truth import read_truth
from clothseg.evaluation.validate_results import read_results, validate_results
from clothseg.report.page import write_report
from clothseg.report.reading import read_run
from clothseg.runs import RunFolder
from clothseg.training.checkpoint import Checkpoint, previous, read_checkpoint, read_last, write_checkpoint
from clothseg.training.history import read_history

Tree = dict[str, Any]
SQUARE = {"size": [20, 30], "counts": [45, 10, 10, 10, 525]}
TRUTH: Tree = {
    "images": [{"id": 1, "file_name": "1.jpg", "height": 20, "width": 30}, {"id": 2, "height": 20, "width": 30}],
    "categories": [{"id": 1, "name": "Suit"}, {"id": 3, "name": "Dress"}],
    "annotations": [
        {
            "id": n,
            "image_id": n,
            "category_id": 1,
            "bbox": [2, 5, 2, 10],
            "area": 20,
            "iscrowd": 0,
            "segmentation": SQUARE,
        }
        for n in (1, 2)
    ],
}
RESULTS: list[Tree] = [
    {"image_id": n, "category_id": c, "score": 0.5 + c / 10, "bbox": [2.0, 5.0, 2.0, 10.0], "segmentation": SQUARE}
    for n in (1, 2)
    for c in (1, 3)
]
FACTS: Tree = {
    **{"data": "data", "classes": ["Suit", "Dress"], "device": "cpu", "weights": "random", "steps": 3, "frozen": "all"},
    **{"parameters": {"total": 12, "trained": 3}, "photos": {"train": 3, "val": 2}, "timings": {"train": 1.5}},
    **{"left_out": {"train": {"3": "a.jpg: empty"}, "val": {}}, "lost": ["b.jpg: gone"]},
    **{"versions": {"torch": "2"}, "anchors": {"boxes": 3, "recall": {"0.5": 1.0}, "suggested_scales": None}},
}
HISTORY = (
    "epoch,step,learning_rate,seconds,train_total,val_total,mask_AP\n1,10,0.1,2.5,3.5,,\n2,20,0.1,5.5,2.5,1.0,0.5\n"
)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    (tmp_path / "data" / "annotations").mkdir(parents=True)
    (tmp_path / "data" / "annotations" / "val.json").write_text(json.dumps(TRUTH))
    folder.facts.write_text(json.dumps(FACTS))
    folder.history.write_text(HISTORY)
    folder.predictions.write_text(json.dumps(RESULTS))
    folder.metrics.write_text(evaluate_coco(copy.deepcopy(TRUTH), RESULTS, resamples=10).to_json())
    return folder


def history(rng: random.Random) -> bytes:
    rows = [line.split(",") for line in HISTORY.splitlines()]
    for _ in range(rng.randint(1, 2)):
        row = rng.choice(rows)
        kind = rng.randrange(4)
        if kind == 0 and row:
            row.pop()
        elif kind == 1:
            row.append(rng.choice(["", "1", "x"]))
        elif row:
            row[rng.randrange(len(row))] = rng.choice(
                ["", "x", "nan", "inf", "1e999", "\x00", "é", '"', "-1", "1" * 500]
            )
    text = "\n".join(",".join(row) for row in rows).encode(rng.choice(["utf-8", "utf-8", "utf-16", "latin-1"]))
    return spoil_bytes(text, rng) if rng.random() < 0.3 else text


def test_histories(fuzz: Fuzz) -> None:
    fuzz(history, read_history, name="history.csv")


def test_facts(fuzz: Fuzz, run: RunFolder) -> None:
    fuzz(
        lambda rng: spoil_json(FACTS, rng), lambda _: (run.read_facts(), read_left_out(run.facts)), name="run/run.json"
    )


def test_metrics(fuzz: Fuzz, run: RunFolder) -> None:
    tree = json.loads(run.metrics.read_text())

    def read(path: Path) -> None:
        metrics = Metrics.from_json(path.read_bytes().decode("utf-8", "replace"))
        assert Metrics.from_json(metrics.to_json()) == metrics
        metrics.table()

    fuzz(lambda rng: spoil_json(tree, rng), read, name="metrics.json")


def test_results(fuzz: Fuzz) -> None:
    truth = read_truth(TRUTH)

    def read(path: Path) -> None:
        validate_results(read_results(path), truth)

    fuzz(lambda rng: spoil_json(RESULTS, rng), read, name="results.json")


def test_evaluations(fuzz: Fuzz) -> None:
    """What is accepted can be evaluated to the end."""

    def read(path: Path) -> None:
        evaluate_coco(copy.deepcopy(TRUTH), read_results(path), resamples=2).to_json()

    fuzz(lambda rng: spoil_json(RESULTS, rng), read, name="results.json", one_of=4)


def test_names_beside_predictions(fuzz: Fuzz, tmp_path: Path) -> None:
    """What is accepted fits the ground truth as far as ids go."""
    truth = read_truth(TRUTH)
    names = {
        "images": [{"id": i["id"], "file_name": f"photos/{i['id']}"} for i in TRUTH["images"]],
        "categories": [{"id": c["id"], "name": c["name"]} for c in TRUTH["categories"]],
    }
    (tmp_path / "found").mkdir()
    (tmp_path / "found" / "predictions.json").write_text(json.dumps(RESULTS))

    def read(path: Path) -> None:
        rows = read_results_for(path.with_name("predictions.json"), truth).rows
        assert {row["image_id"] for row in rows} <= set(truth.photos)
        assert {row["category_id"] for row in rows} <= truth.names.keys()

    fuzz(lambda rng: spoil_json(names, rng), read, name="found/images.json")


@pytest.mark.parametrize("file", ["run.json", "metrics.json", "predictions.json", "history.csv"])
def test_reports(fuzz: Fuzz, run: RunFolder, file: str) -> None:
    """What is accepted can be reported."""
    good = (run.path / file).read_text()

    def make(rng: random.Random) -> bytes:
        return history(rng) if file.endswith("csv") else spoil_json(json.loads(good), rng)

    def read(path: Path) -> None:
        read_run(path.parent, path.parents[1] / "data")

    fuzz(make, read, name=f"run/{file}")
    accepted = [seed for seed in range(12) if _accepts(read, run.path / file, make(random.Random(seed)))]
    for seed in accepted[:2]:
        (run.path / file).write_bytes(make(random.Random(seed)))
        write_report(run.path, run.path.parent / "data")


def _accepts(read: Callable[[Path], None], path: Path, content: bytes) -> bool:
    path.write_bytes(content)
    try:
        read(path)
    except ClothsegError:
        return False
    return True


@pytest.fixture
def checkpoint() -> Checkpoint:
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9)
    weight.grad = torch.ones(3)
    optimizer.step()
    return Checkpoint(
        step=3,
        network={"weight": weight.detach()},
        optimizer=optimizer.state_dict(),
        sampler={"draws": [1, 2], "state": {"a": 3}},
        generator=torch.Generator().get_state(),
        rows=[{"epoch": 1.0, "step": 2.0}],
        sums={"total": 1.5},
        ema={},
        data="abc",
        classes=["Suit"],
        seconds=1.5,
    )


def test_checkpoints(fuzz: Fuzz, checkpoint: Checkpoint) -> None:
    def make(rng: random.Random) -> bytes:
        tree = asdict(checkpoint)
        if rng.random() < 0.6:
            part = rng.choice(list(tree))
            tree[part] = rng.choice(ODD_VALUES) if rng.random() < 0.5 else spoil_tree({part: tree[part]}, rng)
        stream = io.BytesIO()
        torch.save(tree, stream)
        return spoil_bytes(stream.getvalue(), rng) if rng.random() < 0.4 else stream.getvalue()

    fuzz(make, read_checkpoint, name="last.pt")


@pytest.mark.parametrize("part", ["step", "network", "optimizer", "sampler", "generator", "rows", "sums", "classes"])
def test_the_checkpoint_before_a_damaged_one_is_used(tmp_path: Path, checkpoint: Checkpoint, part: str) -> None:
    path = tmp_path / "last.pt"
    write_checkpoint(path, replace(checkpoint, step=2))
    damaged = replace(checkpoint)
    setattr(damaged, part, None)
    write_checkpoint(path, damaged)
    found, trouble = read_last(path, lambda _: None)
    assert found.step == 2
    assert part in trouble
    previous(path).unlink()
    with pytest.raises(RunError, match=part):
        read_last(path, lambda _: None)


@pytest.mark.parametrize("name", ["history.csv", "run.json", "metrics.json", "predictions.json"])
def test_a_folder_in_place_of_a_file(run: RunFolder, name: str) -> None:
    (run.path / name).unlink()
    (run.path / name).mkdir()
    write_report(run.path, run.path.parent / "data")


def test_a_shortage_of_memory_is_not_blamed_on_the_checkpoint(tmp_path: Path, checkpoint: Checkpoint) -> None:
    path = tmp_path / "last.pt"
    write_checkpoint(path, replace(checkpoint, step=2))
    write_checkpoint(path, checkpoint)

    def use(_: Checkpoint) -> None:
        raise RuntimeError("CUDA out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        read_last(path, use)
