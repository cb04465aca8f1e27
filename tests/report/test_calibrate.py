"""Calibrating a run: its weights file, later predictions, and the page."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.errors import DataError
from clothseg.evaluation import Metrics
from clothseg.instances import Instances, PixelMasks
from clothseg.models import MaskRCNN, Model
from clothseg.networks import Network
from clothseg.report import evaluate_run
from clothseg.runs import RunFolder
from clothseg.weights import read_network

from .conftest import NAMES
from .test_evaluate_run import TINY


def guesses(network: Network, images: list[Tensor]) -> list[Instances]:
    """On each photo the mask that all objects have, once as a Suit and once as a Dress; never surely."""
    found = []
    for image in images:
        size = (int(image.shape[1]), int(image.shape[2]))
        masks = torch.zeros((2, *size), dtype=torch.bool)
        masks[:, 10:50, 8:40] = True
        score = 0.5 + float(image.float().mean()) % 1 / 10
        boxes = torch.tensor([[8.0, 10, 40, 50]] * 2)
        scores = torch.tensor([0.9 - score / 10, score])
        found.append(Instances(size, boxes, torch.tensor([1, 2]), PixelMasks(masks), scores))
    return found


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    folder = RunFolder(tmp_path / "guessing run")
    config = Config.load("demo", TINY)
    MaskRCNN(config).build(NAMES).save(folder.weights)
    folder.config.write_text(config.to_yaml())
    monkeypatch.setattr(Network, "detect", guesses)
    return folder


def test_calibrate_keeps_tensors_and_average_precision(run: RunFolder, data: Path) -> None:
    before = evaluate_run(run.path, data)
    saved = read_network(run.weights)
    assert before.calibration is None
    assert "--calibrate" in run.report.read_text()
    assert before.reliability is not None

    messages: list[str] = []
    after = evaluate_run(run.path, data, calibrate=True, notify=messages.append)
    kept = read_network(run.weights)
    assert kept.calibration is not None
    assert kept.calibration.photos == 16
    assert kept.calibration.detections == (15, 16, 0)  # one Suit is on a crowd
    assert messages[0].startswith("calibrated: temperature / offset: Suit ")
    assert kept.tensors.keys() == saved.tensors.keys()
    assert all(torch.equal(kept.tensors[name], tensor) for name, tensor in saved.tensors.items())
    assert (kept.config, kept.classes) == (saved.config, saved.classes)
    assert after.classes == before.classes
    assert after.calibration is not None
    assert after.calibration.cross_fitted
    assert after.calibration.before.expected_error == pytest.approx(before.reliability.expected_error)
    assert after.calibration.before.brier == pytest.approx(before.reliability.brier)
    assert after.calibration.after.expected_error < before.reliability.expected_error
    assert Metrics.from_json(run.metrics.read_text()) == after
    page = run.report.read_text()
    assert "after calibration" in page
    assert "Masks that a person should look at" in page
    assert "Expected calibration error" in after.table()


def test_a_calibrated_run_evaluates_and_predicts_with_calibrated_scores(run: RunFolder, data: Path) -> None:
    after = evaluate_run(run.path, data, calibrate=True)
    again = evaluate_run(run.path, data)
    assert again.calibration is not None
    assert again.calibration.cross_fitted
    assert after.calibration is not None
    assert again.calibration.before.expected_error == pytest.approx(after.calibration.before.expected_error)
    assert again.calibration.after.expected_error == pytest.approx(after.calibration.after.expected_error)
    assert again.overall == after.overall
    assert evaluate_run(run.path, data, calibrate=True).calibration == after.calibration  # not fitted twice over

    model = Model.load(run.path)
    image = torch.zeros((3, 60, 60))
    assert model.network is not None
    raw = guesses(model.network, [image])[0]
    assert model.calibration is not None
    wanted = model.calibration.scores(raw.scores.numpy(), raw.classes.numpy())
    found = model.detect([image])[0]
    assert sorted(found.scores.tolist()) == pytest.approx(sorted(wanted.tolist()))
    best = float(found.scores[0])
    assert len(model.detect([image], score_threshold=best + 0.01)[0]) == 0  # thresholds act on calibrated scores
    assert len(model.detect([image], score_threshold=best - 0.01)[0]) > 0


def test_other_photos_judge_the_calibration_directly(run: RunFolder, data: Path) -> None:
    evaluate_run(run.path, data, calibrate=True)
    other = evaluate_run(run.path, data, split="train")
    assert other.calibration is not None
    assert not other.calibration.cross_fitted
    assert other.reliability == other.calibration.after


def test_new_weights_drop_the_calibration_and_saving_keeps_it(run: RunFolder, data: Path, tmp_path: Path) -> None:
    evaluate_run(run.path, data, calibrate=True)
    model = Model.load(run.path)
    model.save(tmp_path / "copy.safetensors")
    assert Model.load(tmp_path / "copy.safetensors").calibration == model.calibration
    model.load_weights("random")
    assert model.calibration is None


def test_a_network_that_is_never_right_cannot_be_calibrated(
    run: RunFolder, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = run.weights.read_bytes()
    monkeypatch.setattr(Network, "detect", lambda network, images: [one[:0] for one in guesses(network, images)])
    with pytest.raises(DataError, match="scores cannot be calibrated: there is no detection"):
        evaluate_run(run.path, data, calibrate=True)
    assert run.weights.read_bytes() == kept
    assert len(CocoLikeDataset().load_data(data, "val").images) == 16
