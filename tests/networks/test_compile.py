"""Faster detection against the usual: the same detections on photos of several sizes, and after new weights."""

import pytest
import torch
from torch import Tensor

from clothseg.config import Config
from clothseg.dataset import to_tensor
from clothseg.networks import MaskRCNNNetwork, build_network
from clothseg.photos import read_photo
from clothseg.sample import folder


def network(seed: int) -> MaskRCNNNetwork:
    """A small network whose scores differ from box to box."""
    config = Config.model_validate(
        {
            "backbone": {"name": "resnet18"},
            "picture": {"min_side": 128, "max_side": 256},
            "pyramid": {"channels": 32},
            "boxes": {"hidden": 64},
            "mask": {"channels": 32},
            "detect": {"min_confidence": 0.3, "max_detections": 20},
            "train": {"seed": seed},
        }
    )
    made = build_network(config, 3).eval()
    with torch.no_grad():
        made.box_head.score.weight.mul_(5)
        made.rpn.score.weight.mul_(10)
    return made


def photos() -> list[Tensor]:
    """Three photos whose inputs have three sizes."""
    paths = sorted((folder() / "train").glob("*.jpg"))[:3]
    return [to_tensor(read_photo(path))[:, : 400 - 60 * n, :300] for n, path in enumerate(paths)]


def compare(plain: MaskRCNNNetwork, compiled: MaskRCNNNetwork) -> None:
    for photo in photos():
        mine, other = compiled.detect([photo])[0], plain.detect([photo])[0]
        assert len(other) > 5
        assert torch.equal(mine.classes, other.classes)
        torch.testing.assert_close(mine.boxes, other.boxes, atol=1e-2, rtol=0)
        torch.testing.assert_close(mine.scores, other.scores, atol=1e-4, rtol=0)
        differ = mine.masks.pixels() != other.masks.pixels()
        assert differ.sum() <= 1e-3 * other.masks.pixels().sum()


@pytest.mark.slow
def test_compiled_detection_is_the_same() -> None:
    plain, compiled = network(0), network(0)
    assert compiled.compile_maps() == "", "this test needs a C++ compiler"
    compare(plain, compiled)
    other = network(1)
    compiled.load_state_dict(other.state_dict())
    compare(other, compiled)


def test_where_nothing_can_be_compiled_detection_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_: object) -> object:
        raise RuntimeError("\nNo working C++ compiler found\nand more lines")

    monkeypatch.setattr(torch, "compile", failing)
    plain, compiled = network(0), network(0)
    assert compiled.compile_maps() == "No working C++ compiler found"
    compare(plain, compiled)


def test_channels_last_is_the_same_but_for_the_last_digits() -> None:
    plain, other = network(0), network(0)
    other.config.detect.channels_last = True
    compare(other, plain)
