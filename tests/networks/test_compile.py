"""Compiled detection gives the same detections, on photos of several sizes and after new weights."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from clothseg.config import Config
from clothseg.networks.mask_rcnn.network import MaskRCNNNetwork

Make = Callable[..., MaskRCNNNetwork]


@pytest.fixture
def make(build_mask_rcnn: Callable[[Config, int], MaskRCNNNetwork]) -> Make:
    """Makes a small network whose scores differ from box to box."""

    def build(seed: int) -> MaskRCNNNetwork:
        config = Config.model_validate(
            {
                "backbone": {"name": "resnet18"},
                "input": {"min_side": 128, "max_side": 256},
                "network": {"fpn": {"channels": 32}, "box_head": {"fc_dim": 64}, "mask_head": {"channels": 32}},
                "inference": {"score_threshold": 0.3, "max_detections": 20},
                "train": {"seed": seed},
            }
        )
        network = build_mask_rcnn(config, 3).eval()
        with torch.no_grad():
            network.box_head.score.weight.mul_(5)
            network.rpn.score.weight.mul_(10)
        return network

    return build


@pytest.fixture(scope="module")
def photos(sample_photos: list[Tensor]) -> list[Tensor]:
    """Three photos whose inputs have three sizes."""
    return [photo[:, : 400 - 60 * n, :300] for n, photo in enumerate(sample_photos)]


def compare(plain: MaskRCNNNetwork, compiled: MaskRCNNNetwork, photos: list[Tensor]) -> None:
    for photo in photos:
        found, expected = compiled.detect([photo])[0], plain.detect([photo])[0]
        assert len(expected) > 5
        assert torch.equal(found.classes, expected.classes)
        torch.testing.assert_close(found.boxes, expected.boxes, atol=1e-2, rtol=0)
        torch.testing.assert_close(found.scores, expected.scores, atol=1e-4, rtol=0)
        differ = found.masks.pixels() != expected.masks.pixels()
        assert differ.sum() <= 1e-3 * expected.masks.pixels().sum()


@pytest.mark.slow
def test_compiled_detections_match(make: Make, photos: list[Tensor]) -> None:
    plain, compiled = make(0), make(0)
    assert compiled.compile_for_inference() == "", "this test needs a C++ compiler"
    compare(plain, compiled, photos)
    other = make(1)
    compiled.load_state_dict(other.state_dict())
    compare(other, compiled, photos)


def test_detection_works_on_machines_that_cannot_compile(
    make: Make, photos: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_: object) -> object:
        raise RuntimeError("\nNo working C++ compiler found\nand more lines")

    monkeypatch.setattr(torch, "compile", failing)
    plain, compiled = make(0), make(0)
    assert compiled.compile_for_inference() == "No working C++ compiler found"
    compare(plain, compiled, photos)
