"""Results and thresholds of runs on disk, and comparing two runs from Python."""

import json
from pathlib import Path

import pytest

from clothseg.errors import DataError, RunError
from clothseg.evaluation import compare_results, compare_runs, evaluate_coco
from clothseg.evaluation.stored import shared_data, stored_results, stored_thresholds
from clothseg.evaluation.truth import read_truth

from .conftest import Tree, generated


@pytest.fixture
def truth() -> Tree:
    return generated(4, photos=12)[0]


@pytest.fixture
def folder(tmp_path: Path, truth: Tree) -> Path:
    """A dataset `data`, an evaluated run `run`, and `fewer.json`, the same results without the first 20."""
    results = generated(4, photos=12)[1]
    (tmp_path / "data/annotations").mkdir(parents=True)
    (tmp_path / "data/annotations/val.json").write_text(json.dumps(truth))
    (tmp_path / "fewer.json").write_text(json.dumps(results[20:]))
    (tmp_path / "run").mkdir()
    (tmp_path / "run/predictions.json").write_text(json.dumps(results))
    (tmp_path / "run/metrics.json").write_text(evaluate_coco(truth, results, resamples=0).to_json())
    (tmp_path / "run/run.json").write_text(json.dumps({"data": str(tmp_path / "data")}))
    return tmp_path


def test_runs_are_compared_from_python(folder: Path, truth: Tree) -> None:
    found = compare_runs(folder / "fewer.json", folder / "run", resamples=20)
    results = generated(4, photos=12)[1]
    assert found == compare_results(truth, results[20:], results, resamples=20)
    assert found.photos == 12
    assert (
        compare_runs(folder / "run", folder / "run", folder / "data", resamples=20).differences["mask_AP"].change == 0
    )


def test_a_run_that_was_evaluated_on_other_objects_is_refused(folder: Path, truth: Tree) -> None:
    (folder / "other.json").write_text(json.dumps(truth | {"annotations": truth["annotations"][1:]}))
    with pytest.raises(RunError, match=r"evaluated on other photos or objects than those of .*other\.json"):
        stored_results(folder / "run", read_truth(folder / "other.json"))
    with pytest.raises(RunError, match="not an evaluated run"):
        stored_results(folder / "data", read_truth(folder / "data/annotations/val.json"))


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"{}", b""])
def test_damaged_metrics_of_a_run_are_named(folder: Path, truth: Tree, content: bytes) -> None:
    (folder / "run/metrics.json").write_bytes(content)
    for read in (lambda: stored_results(folder / "run", read_truth(truth)), lambda: stored_thresholds(folder / "run")):
        with pytest.raises(DataError, match=r"run.metrics\.json: cannot be read \(.+\)"):
            read()


def test_thresholds_of_a_run_or_a_file(folder: Path) -> None:
    best = json.loads((folder / "run/metrics.json").read_text())["thresholds"]
    assert stored_thresholds(folder / "run") == {name: threshold["score"] for name, threshold in best.items()}
    assert stored_thresholds(folder / "run/metrics.json") == stored_thresholds(folder / "run")
    with pytest.raises(RunError, match="no such file"):
        stored_thresholds(folder / "data")
    with pytest.raises(DataError, match=r"fewer\.json: cannot be read"):
        stored_thresholds(folder / "fewer.json")


def test_results_files_alone_name_no_dataset(folder: Path) -> None:
    assert shared_data([folder / "run", folder / "fewer.json"]) == folder / "data"
    with pytest.raises(RunError, match="name it with --data"):
        shared_data([folder / "fewer.json"])
    with pytest.raises(RunError, match="nowhere: no such run"):
        shared_data([folder / "run", folder / "nowhere"])
