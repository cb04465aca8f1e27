"""The overfit test on one photo, and its diagnosis of faults."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from clothseg import sample
from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.instances import Instances
from clothseg.networks import build_network
from clothseg.networks.mask_rcnn.network import MaskRCNNNetwork
from clothseg.openimages import BuildOptions, build_dataset
from clothseg.training import overfit
from clothseg.training.overfit import contradictions, diagnose, overfit_one_image, overlaps

from .conftest import CLASSES, SMALL_NETWORK

START = {"rpn_class": 0.7, "rpn_bbox": 0.1, "class": 1.4, "bbox": 0.2, "mask": 0.8, "total": 3.2}


@pytest.fixture
def train(tmp_path: Path) -> CocoLikeDataset:
    build_dataset(sample.folder(), tmp_path / "data", CLASSES, BuildOptions(limit=3))
    return CocoLikeDataset().load_data(tmp_path / "data", "train").prepare()


def causes(train: CocoLikeDataset, last: dict[str, float], found: int = 1, *overrides: str) -> list[str]:
    network = build_network(Config.load("demo", list(overrides)), 3)
    return diagnose(network, train, 0, START, last, found)


def test_a_wrong_learning_rate_is_diagnosed(train: CocoLikeDataset) -> None:
    assert "far too high" in causes(train, START | {"total": float("nan")})[0]
    assert "far too high" in causes(train, {name: value * 40 for name, value in START.items()})[0]
    assert "far too low" in causes(train, {name: value * 0.999 for name, value in START.items()})[0]


def test_anchors_that_are_too_small_are_diagnosed(train: CocoLikeDataset) -> None:
    falling = {name: value * 0.2 for name, value in START.items()} | {"rpn_bbox": 0.3}
    found_causes = causes(train, falling, 1, "network.anchors.scales=[[4],[5],[6]]")
    assert "no anchor covers" in found_causes[0]
    assert "rpn_bbox" in found_causes[1]


def test_a_box_beside_its_mask_is_diagnosed(train: CocoLikeDataset) -> None:
    truth = train.load_instances(0)
    assert contradictions(train, 0, truth) == []
    annotation = train.images[0].annotations[0]
    annotation["bbox"] = [annotation["bbox"][0] + annotation["bbox"][2] + 9, *annotation["bbox"][1:]]
    assert f"annotation {annotation['id']}" in contradictions(train, 0, truth)[0]
    shifted = type(truth)(truth.size, truth.boxes + 900, truth.classes, truth.masks)
    assert "do not enclose their masks" in contradictions(train, 0, shifted)[0]


def test_overlaps_are_1_with_the_ground_truth_and_0_without_detections(train: CocoLikeDataset) -> None:
    truth = train.load_instances(0)
    assert overlaps(truth, truth) == pytest.approx([1.0] * len(truth))
    assert overlaps(truth, truth[:0]) == [0.0] * len(truth)


def test_a_learning_rate_near_0_fails_the_overfit_test(train: CocoLikeDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overfit, "MAX_STEPS", 6)
    config = Config.load("demo", [*SMALL_NETWORK, "train.learning_rate=1e-9"])
    result = overfit_one_image(build_network(config, 3), train, config)
    assert result.steps == 6
    assert max(result.overlaps) < 0.7
    assert any("far too low" in cause for cause in result.causes)


def test_the_overfit_test_computes_in_the_precision_of_the_training(
    train: CocoLikeDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps in bf16, detections in 32 bits, as in a training and afterwards."""
    seen: list[tuple[str, bool, torch.dtype]] = []
    losses, detect = MaskRCNNNetwork.losses, MaskRCNNNetwork.detect

    def watched_losses(network: MaskRCNNNetwork, *given: Any) -> dict[str, Tensor]:
        seen.append(("losses", torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")))
        return losses(network, *given)

    def watched_detect(network: MaskRCNNNetwork, *given: Any) -> list[Instances]:
        seen.append(("detect", torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")))
        return detect(network, *given)

    monkeypatch.setattr(MaskRCNNNetwork, "losses", watched_losses)
    monkeypatch.setattr(MaskRCNNNetwork, "detect", watched_detect)
    monkeypatch.setattr(overfit, "MAX_STEPS", 2)
    for precision, mixed in (("bf16-mixed", True), ("auto", False)):
        seen.clear()
        config = Config.load("demo", [*SMALL_NETWORK, "weights=random", f"train.precision={precision}"])
        result = overfit_one_image(build_network(config, 3), train, config)
        assert all(math.isfinite(loss) for loss in result.last.values())
        assert [(what, on) for what, on, _ in seen] == [("losses", mixed)] * 2 + [("detect", False)]
        assert not mixed or seen[0][2] == torch.bfloat16


@pytest.mark.slow
def test_the_demo_preset_learns_one_photo_of_the_sample(train: CocoLikeDataset) -> None:
    torch.manual_seed(0)
    config = Config.load("demo")
    result = overfit_one_image(build_network(config, 3), train, config)
    assert result.causes == []


def test_a_learning_rate_that_is_far_too_high_is_diagnosed(
    train: CocoLikeDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights may get so bad that no proposal is left."""
    monkeypatch.setattr(overfit, "MAX_STEPS", 20)
    config = Config.load("demo", [*SMALL_NETWORK, "train.learning_rate=10"])
    result = overfit_one_image(build_network(config, 3), train, config)
    assert "far too high" in result.causes[0]
