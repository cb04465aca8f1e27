"""Mask R-CNN as a whole, under each convention."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from clothseg.config import Config
from clothseg.instances import Instances, PixelMasks
from clothseg.networks.mask_rcnn.conventions import CONVENTIONS
from clothseg.networks.mask_rcnn.network import MaskRCNNNetwork

Build = Callable[[Config, int], MaskRCNNNetwork]
SMALL = [
    "backbone.name=resnet18",
    "backbone.frozen_stages=0",
    "input.height=64",
    "input.width=64",
    "network.fpn.channels=16",
    "network.box_head.fc_dim=16",
    "network.mask_head.channels=8",
]


def small_config(*overrides: str) -> Config:
    return Config.load("demo", [*SMALL, *overrides])


@pytest.fixture(scope="module")
def image() -> Tensor:
    return torch.rand((3, 50, 40), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def truth() -> Instances:
    mask = torch.zeros(1, 50, 40, dtype=torch.bool)
    mask[0, 10:30, 8:32] = True
    return Instances((50, 40), torch.tensor([[8.0, 10, 32, 30]]), torch.tensor([2]), PixelMasks(mask))


@pytest.mark.parametrize("name", list(CONVENTIONS))
def test_every_convention_trains_and_detects(
    name: str, build_mask_rcnn: Build, image: Tensor, truth: Instances
) -> None:
    network = build_mask_rcnn(small_config("inference.score_threshold=0", f"network.conventions={name}"), 2)
    nothing = truth[torch.tensor([False])]
    losses = network.losses([image, image], [truth, nothing])
    assert losses.keys() == {*network.loss_names, "total"}
    assert all(torch.isfinite(loss) for loss in losses.values())
    torch.autograd.backward(losses["total"])
    assert network.box_head.score.weight.grad is not None
    assert float(network.box_head.score.weight.grad.abs().sum()) > 0
    with torch.no_grad():
        network.box_head.score.bias[2] += 5  # otherwise background may win everywhere, and there is no detection
    found = network.eval().detect([image])[0]
    assert len(found) > 0
    assert found.masks.pixels().shape == (len(found), 50, 40)
    assert float(found.boxes.min()) >= 0
    assert float(found.boxes[:, 2].max()) <= 40
    assert float(found.boxes[:, 3].max()) <= 50


@pytest.mark.parametrize(
    ("override", "changed"), [("network.rpn.box_loss=l2", "rpn_bbox"), ("network.box_head.box_loss=l2", "bbox")]
)
def test_each_box_loss_is_chosen_independently(
    override: str, changed: str, build_mask_rcnn: Build, image: Tensor, truth: Instances
) -> None:
    """With the same weights and random numbers, only the chosen loss and the total change."""
    overrides = ["network.rpn.box_loss=smooth_l1", "network.box_head.box_loss=smooth_l1"]
    plain = build_mask_rcnn(small_config(*overrides), 2).losses([image], [truth])
    squared = build_mask_rcnn(small_config(*overrides, override), 2).losses([image], [truth])
    assert {name for name in plain if not torch.equal(plain[name], squared[name])} == {changed, "total"}


def test_the_total_loss_is_the_weighted_sum(build_mask_rcnn: Build, image: Tensor, truth: Instances) -> None:
    weights = {"rpn_class": 2.0, "rpn_bbox": 0.5, "class": 3.0, "bbox": 0.0, "mask": 0.25}
    overrides = [f"network.loss_weights.{name}={weight}" for name, weight in weights.items()]
    losses = build_mask_rcnn(small_config(*overrides), 2).losses([image], [truth])
    expected = sum(weight * losses[name].item() for name, weight in weights.items())
    assert losses["total"].item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("on_cpu", [False, True])
@pytest.mark.parametrize("name", list(CONVENTIONS))
def test_the_memory_probe_reaches_every_trained_weight(name: str, on_cpu: bool, build_mask_rcnn: Build) -> None:
    config = small_config(f"network.conventions={name}", "backbone.frozen_stages=2")
    with torch.device("meta"):
        network = build_mask_rcnn(config, 2)
        outputs = network.backbone.forward_frozen(torch.zeros(2, 3, 64, 64))
        torch.autograd.backward(network.memory_probe(outputs, 3, on_cpu=on_cpu))
    trained = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert {name for name, parameter in network.named_parameters() if parameter.grad is not None} == trained
    assert len(trained) > 20
