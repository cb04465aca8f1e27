"""Several runs and results files: titles, groups of seeds, wrong inputs, and numbers that equal those of two sides."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clothseg.config import Config
from clothseg.errors import DataError, RunError
from clothseg.evaluation import compare_results, compare_several, evaluate_coco

from ..conftest import Tree, generated

NETWORKS = ("mask_rcnn", "yolact", "deeplab")


@pytest.fixture
def truth() -> Tree:
    return generated(4, photos=12)[0]


@pytest.fixture
def results() -> list[Any]:
    return generated(4, photos=12)[1]


def make_run(folder: Path, truth: Tree, rows: list[Any], *, network: str, seed: int = 0, lr: float = 0.001) -> Path:
    folder.mkdir(parents=True)
    (folder / "predictions.json").write_text(json.dumps(rows))
    (folder / "metrics.json").write_text(evaluate_coco(truth, rows, resamples=0).to_json())
    config = Config.for_network(network).changed("train", seed=seed, learning_rate=lr)
    (folder / "config.yaml").write_text(config.to_yaml())
    facts = {"data": "data", "parameters": {"total": 1_500_000}, "timings": {"train": 61.5}}
    (folder / "run.json").write_text(json.dumps(facts))
    (folder / "weights.safetensors").write_bytes(b"12345")
    return folder


@pytest.fixture
def place(tmp_path: Path, truth: Tree, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "data/annotations").mkdir(parents=True)
    (tmp_path / "data/annotations/val.json").write_text(json.dumps(truth))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_numbers_equal_those_of_two_sides(place: Path, truth: Tree, results: list[Any]) -> None:
    for number, network in enumerate(NETWORKS):
        make_run(place / network, truth, results[number * 8 :], network=network)
    found = compare_several([Path(name) for name in NETWORKS], resamples=40)
    assert [side.title for side in found.sides] == ["Mask R-CNN", "YOLACT", "DeepLab"]
    assert [(pair.a, pair.b) for pair in found.pairs] == [
        ("Mask R-CNN", "YOLACT"), ("Mask R-CNN", "DeepLab"), ("YOLACT", "DeepLab"),
    ]  # fmt: skip
    for pair, (first, second) in zip(found.pairs, ((0, 8), (0, 16), (8, 16)), strict=True):
        two = compare_results(truth, results[first:], results[second:], resamples=40)
        for name, difference in two.differences.items():
            assert pair.differences[name] == difference, name
    for side, start in zip(found.sides, (0, 8, 16), strict=True):
        alone = evaluate_coco(truth, results[start:], resamples=40)
        for name, value in alone.overall.items():
            assert side.overall[name] == value, name
        for name, interval in alone.intervals.items():
            assert side.intervals[name] == interval, name
        for name, part in alone.classes.items():
            assert dict(part.values).items() <= dict(side.classes[name].values).items()
    facts = found.sides[1].sources[0]
    assert (facts.parameters, facts.weights_bytes, facts.training_seconds, facts.seed) == (1_500_000, 5, 61.5, 0)
    assert json.loads(found.to_json())["pairs"][2]["b"] == "DeepLab"


def test_runs_that_differ_only_in_the_seed_are_one_side(place: Path, truth: Tree, results: list[Any]) -> None:
    for seed, start in ((2, 20), (0, 0), (1, 10)):
        make_run(place / f"m{seed}", truth, results[start:], network="mask_rcnn", seed=seed)
        make_run(place / f"y{seed}", truth, results[start + 5 :], network="yolact", seed=seed)
    runs = [Path(name) for name in ("m2", "y0", "m0", "y1", "m1", "y2")]
    found = compare_several(runs, resamples=40)
    assert [side.title for side in found.sides] == ["Mask R-CNN", "YOLACT"]
    assert [source.path for source in found.sides[0].sources] == ["m0", "m1", "m2"]
    aps = [evaluate_coco(truth, results[start:], resamples=0).overall["mask_AP"] for start in (0, 10, 20)]
    assert found.sides[0].overall["mask_AP"] == pytest.approx(np.mean([ap for ap in aps if ap is not None]))
    assert "seeds" in " ".join(found.notes)
    assert len(compare_several(runs, resamples=10, group=False).sides) == 6


def test_seeds_of_one_network_are_compared_one_by_one_unless_asked(
    place: Path, truth: Tree, results: list[Any]
) -> None:
    for seed in range(2):
        make_run(place / f"m{seed}", truth, results[seed:], network="mask_rcnn", seed=seed)
    runs = [Path("m0"), Path("m1")]
    assert [side.title for side in compare_several(runs, resamples=10).sides] == ["m0", "m1"]
    with pytest.raises(RunError, match="--no-group"):
        compare_several(runs, resamples=10, group=True)


def test_the_same_seed_twice_or_another_setting_is_not_a_group(place: Path, truth: Tree, results: list[Any]) -> None:
    make_run(place / "a", truth, results, network="mask_rcnn")
    make_run(place / "again/a", truth, results, network="mask_rcnn")
    make_run(place / "b", truth, results, network="mask_rcnn", seed=1, lr=0.01)
    make_run(place / "c", truth, results, network="yolact")
    runs = [Path(name) for name in ("a", "again/a", "b", "c")]
    assert [side.title for side in compare_several(runs, resamples=10).sides] == ["a", "again/a", "b", "YOLACT"]


def test_a_results_file_is_a_side_without_facts(place: Path, truth: Tree, results: list[Any]) -> None:
    make_run(place / "run", truth, results, network="yolact")
    (place / "theirs.json").write_text(json.dumps(results[6:]))
    found = compare_several([Path("run"), Path("theirs.json")], resamples=10)
    theirs = found.sides[1]
    assert theirs.title == "theirs"
    assert (theirs.sources[0].network, theirs.sources[0].parameters, theirs.speed) == (None, None, None)


def test_a_note_that_holds_for_all_is_said_once(place: Path, results: list[Any]) -> None:
    for name, rows in (("a", results), ("b", results[3:]), ("none", [])):
        (place / f"{name}.json").write_text(json.dumps(rows))
    found = compare_several([Path(f"{name}.json") for name in ("a", "b", "none")], Path("data"), resamples=10)
    assert sum("Photos without an object" in note for note in found.notes) == 1
    assert not any("Photos without an object" in note for side in found.sides for note in side.notes)
    assert [bool(side.notes) for side in found.sides] == [False, False, True]
    assert "no detections" in found.sides[2].notes[0]


def test_boxes_without_masks_have_no_mask_metrics_and_no_miou(place: Path, results: list[Any]) -> None:
    boxes = [{key: row[key] for key in ("image_id", "category_id", "score", "bbox")} for row in results]
    (place / "boxes.json").write_text(json.dumps(boxes))
    (place / "masks.json").write_text(json.dumps(results))
    found = compare_several([Path("boxes.json"), Path("masks.json")], Path("data"), resamples=10)
    assert found.sides[0].overall["semantic_mIoU"] is None
    assert list(found.pairs[0].differences) == ["box_AP", "box_AP50", "box_AP75"]
    assert "box AP" in found.verdict[0]


def test_wrong_sources_are_refused_together(place: Path, truth: Tree, results: list[Any]) -> None:
    good = make_run(place / "good", truth, results, network="yolact")
    for name in ("new", "newer"):
        make_run(place / name, truth, results, network="yolact")
        (place / name / "metrics.json").unlink()
    other = make_run(place / "other", truth, results, network="yolact")
    (other / "metrics.json").write_text(
        evaluate_coco(truth | {"annotations": truth["annotations"][:-1]}, results, resamples=0).to_json()
    )
    with pytest.raises(RunError) as caught:
        compare_several([Path(name) for name in ("good", "new", "newer", "other")])
    for words in ("clothseg evaluate new data", "clothseg evaluate newer data", "other was evaluated on other photos"):
        assert words in str(caught.value)
    with pytest.raises(RunError, match="named twice"):
        compare_several([Path("good"), good])
    with pytest.raises(RunError, match="at least two"):
        compare_several([Path("good")])
    (place / "foreign.json").write_text(json.dumps([results[0] | {"image_id": 999}]))
    with pytest.raises(DataError, match=r"foreign\.json: result 0 .*999"):
        compare_several([Path("good"), Path("foreign.json")])
