"""Batches with a real network, whose results are those of one photo at a time; and who asks to compile it."""

import numpy as np
import pytest
import torch
from torch import Tensor

from clothseg.config import Config
from clothseg.instances import Instances
from clothseg.models import MaskRCNN, Model
from clothseg.prediction import compile_for_inference, detect_batch

from .conftest import Picture

SMALL = [
    "input.min_side=32",
    "input.max_side=64",
    "network.fpn.channels=16",
    "network.box_head.fc_dim=32",
    "network.mask_head.channels=16",
    "inference.score_threshold=0",
    "inference.max_detections=4",
    "backbone.name=resnet18",
]


@pytest.fixture(scope="module", params=["keep_ratio", "square"])
def model(request: pytest.FixtureRequest) -> MaskRCNN:
    words = [*SMALL, f"input.resize={request.param}", "network.rpn.post_nms_top_n_test=20"]
    return MaskRCNN(Config.load("demo", ["network.fpn.levels=[3,4,5]", *words])).build(["Suit", "Dress"])


@pytest.fixture(scope="module")
def photos() -> list[Picture]:
    sizes = [(80, 60), (60, 80), (80, 60), (160, 120), (30, 90)]
    return [np.random.default_rng(n).integers(0, 256, (*size, 3), dtype=np.uint8) for n, size in enumerate(sizes)]


def test_results_are_bit_identical(model: MaskRCNN, photos: list[Picture]) -> None:
    alone = [model.predict(photo) for photo in photos]
    assert min(len(found) for found in alone) > 0
    for batch in (2, 5):
        groups = [photos[start : start + batch] for start in range(0, len(photos), batch)]
        together = [found for group in groups for found in detect_batch(model, group)]
        for one, other in zip(alone, together, strict=True):
            assert torch.equal(one.boxes, other.boxes)
            assert torch.equal(one.scores, other.scores)
            assert torch.equal(one.classes, other.classes)
            assert one.masks.rle() == other.masks.rle()


def test_only_inputs_of_one_size_go_together_and_the_order_stays(
    model: MaskRCNN, photos: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU, where last digits may differ, so scores are compared with a tolerance."""
    network = model.network
    assert network is not None
    padded: list[set[tuple[int, ...]]] = []
    detect = network.detect

    def watched(images: list[Tensor]) -> list[Instances]:
        padded.append({tuple(network.transform.batch([image], network.device)[0].shape) for image in images})
        return detect(images)

    alone = [model.predict(photo) for photo in photos]
    monkeypatch.setattr(network, "detect", watched)
    together = detect_batch(model, photos, together=True)
    assert all(len(shapes) == 1 for shapes in padded)
    assert len(padded) < len(photos)
    for photo, one, other in zip(photos, alone, together, strict=True):
        assert other.size == photo.shape[:2]
        assert torch.allclose(one.scores, other.scores, atol=1e-4)


@pytest.mark.parametrize(
    ("requested", "configured", "reason", "message"),
    [
        (False, False, "", ""),
        (True, False, "", "compiling: the first photo takes a minute"),
        (False, True, "", "compiling: the first photo takes a minute"),
        (True, True, "no compiler", "not compiled, because this machine cannot do it: no compiler"),
    ],
)
def test_the_option_or_the_settings_compile(
    requested: bool, configured: bool, reason: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Model] = []

    def compiled(model: Model) -> str:
        calls.append(model)
        return reason

    monkeypatch.setattr(Model, "compile", compiled)
    model = Model(Config.load("demo", [f"inference.compile={str(configured).lower()}"]))
    said = compile_for_inference(model, requested=requested)
    assert said.startswith(message)
    assert bool(said) == bool(calls) == (requested or configured)
    assert model.config.inference.compile == (bool(calls) and not reason)
