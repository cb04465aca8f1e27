"""On a CPU, maps are channels-last in memory; losses, gradients and detections are those of the other order."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from clothseg import cpu_path
from clothseg.config import Config
from clothseg.instances import Instances, PixelMasks
from clothseg.networks import Network, build_network

SMALL = ["input.height=96", "input.width=96", "train.seed=3", "inference.score_threshold=0"]
SQUARE = ["input.min_side=128", "input.max_side=128"]
FEW = ["network.rpn.post_nms_top_n_train=50", "network.box_head.samples=32"]
NETWORKS = {
    "timm": ("demo", []),
    "ResNet": ("paper", [*SQUARE, "backbone.name=resnet18", "network.fpn.channels=32", *FEW]),
    "group norm": ("small", ["backbone.name=resnet18", "backbone.norm=group"]),
    "MobileNet": ("small-deeplab", ["backbone.name=mobilenetv2"]),
    "YOLACT": ("paper-yolact", ["backbone.name=resnet18", "network.fpn.channels=32"]),
    "DeepLab": ("small-deeplab", ["backbone.name=resnet18"]),
}


def in_both_orders(answer: Callable[[], list[Tensor]]) -> tuple[list[Tensor], list[Tensor]]:
    """What `answer` gives in the memory order of a CPU, and in PyTorch's own."""
    found = answer()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu_path, "in_fast_order", lambda maps: maps)
        return found, answer()


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest) -> Network:
    """A network with random weights."""
    preset, settings = NETWORKS[request.param]
    torch.manual_seed(0)
    return build_network(Config.load(preset, [*SMALL, *settings]), 3)


@pytest.fixture
def photo() -> Tensor:
    """A photo of noise."""
    return torch.rand((3, 96, 96), generator=torch.Generator().manual_seed(1))


def test_features_are_channels_last_and_the_same(network: Network, photo: Tensor) -> None:
    network.eval()
    with torch.no_grad():
        found, plain = in_both_orders(lambda: network.features(network.transform.batch([photo], network.device)[0]))
    assert len(found) == len(plain) > 0
    for mine, other in zip(found, plain, strict=True):
        assert mine.is_contiguous(memory_format=torch.channels_last)
        assert other.is_contiguous()
        torch.testing.assert_close(mine, other, atol=1e-4 * other.abs().max().item(), rtol=1e-3)


def test_gradients_of_the_backbone_are_the_same(network: Network, photo: Tensor) -> None:
    """In 64 bits, because 32 bits add rounding errors up to a percent of a gradient."""
    network.train().double()
    network.backbone.freeze(0)
    weight = next(p for p in network.backbone.parameters() if p.dim() == 4)

    def gradient() -> list[Tensor]:
        outputs = network.features(network.transform.batch([photo] * 2, network.device)[0].double())
        return list(torch.autograd.grad(torch.stack([x.square().mean() for x in outputs]).sum(), weight))

    (found,), (plain,) = in_both_orders(gradient)
    torch.testing.assert_close(found, plain, atol=1e-9 * plain.abs().max().item(), rtol=1e-6)


def test_a_step_learns_the_same(network: Network, photo: Tensor) -> None:
    """The losses of one photo with one object are finite in both orders, and close: proposals may differ by one."""
    network.train()
    mask = torch.zeros(1, 96, 96, dtype=torch.bool)
    mask[0, 20:80, 30:70] = True
    truth = Instances((96, 96), PixelMasks(mask).boxes(), torch.tensor([2]), PixelMasks(mask))

    def losses() -> list[Tensor]:
        network.generator.manual_seed(0)
        torch.manual_seed(0)
        found = network.losses([photo, photo], [truth, truth])
        return [found[name].detach() for name in network.loss_names]

    found, plain = in_both_orders(losses)
    for mine, other in zip(found, plain, strict=True):
        assert mine.isfinite()
        torch.testing.assert_close(mine, other, atol=0.05, rtol=0.05)
