"""Evaluating a run from Python: the files that it writes, and the values that it returns."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import pytest

from clothseg.config import Config
from clothseg.errors import RunError
from clothseg.evaluation import Metrics, evaluate_coco
from clothseg.models import MaskRCNN, Model
from clothseg.report import evaluate_run
from clothseg.runs import RunFolder

from .conftest import NAMES

T = TypeVar("T")
TINY = [
    "weights=random",
    "backbone.name=timm/test_efficientnet",
    "input.height=64",
    "input.width=64",
    "network.fpn.channels=16",
    "network.box_head.fc_dim=32",
    "network.mask_head.channels=16",
    "inference.score_threshold=0.0",
    "inference.max_detections=3",
]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run with random weights."""
    folder = RunFolder(tmp_path / "tiny run")
    config = Config.load("demo", TINY)
    MaskRCNN(config).build(NAMES).save(folder.weights)
    folder.config.write_text(config.to_yaml())
    return folder


def test_a_run_is_evaluated_and_its_files_are_written(run: RunFolder, data: Path) -> None:
    walked: list[tuple[int, str]] = []

    def progress(items: Iterable[T], total: int, what: str, /) -> Iterable[T]:
        walked.append((total, what))
        return items

    metrics = evaluate_run(run.path, data, score_threshold=0.01, progress=progress)
    assert walked == [(16, "evaluating")]
    assert Metrics.from_json(run.metrics.read_text()) == metrics
    results = json.loads(run.predictions.read_text())
    assert len(results) == metrics.detections > 0
    assert evaluate_coco(data / "annotations/val.json", results, score_threshold=0.01) == metrics
    assert metrics.report_score_threshold == 0.01
    assert "report_mAP" in run.report.read_text()
    assert list(run.read_facts()["timings"]) == ["evaluate"]


def test_initial_weights_have_their_own_metrics_file(run: RunFolder, data: Path) -> None:
    metrics = evaluate_run(run.path, data, initial_weights=True)
    assert Metrics.from_json(run.initial_metrics.read_text()) == metrics
    assert metrics.report_score_threshold == 0.0
    assert not run.metrics.exists()
    assert not run.predictions.exists()
    assert list(run.read_facts()["timings"]) == ["evaluate initial weights"]


def test_a_machine_that_cannot_compile_is_reported(run: RunFolder, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Model, "compile", lambda model: "no compiler")
    messages: list[str] = []
    evaluate_run(run.path, data, compile=True, notify=messages.append)
    assert messages == ["not compiled, because this machine cannot do it: no compiler"]
    evaluate_run(run.path, data, notify=messages.append)
    assert len(messages) == 1


def test_a_run_without_weights_is_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    with pytest.raises(RunError, match="bare: an empty folder, not a run"):
        evaluate_run(tmp_path / "bare", data)
    assert list((tmp_path / "bare").iterdir()) == []
