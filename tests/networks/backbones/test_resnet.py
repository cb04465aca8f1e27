"""Differences between implementations of a ResNet, against hand-computed values."""

import math

import pytest
import torch
from torch import nn
from torchvision.models import resnet50

from clothseg.networks.backbones.resnet import (
    RESNETS,
    Bottleneck,
    ResNet,
    ResNetConventions,
    StemPool,
    stage_steps,
)


@pytest.mark.parametrize("sides", [(8, 8), (7, 7), (6, 9)])
def test_stem_pooling_matches_the_padding_of_tensorflow(sides: tuple[int, int]) -> None:
    """TensorFlow pads by as many cells as it needs; an odd number has one more at the end."""
    x = torch.rand(1, 1, *sides)
    out = StemPool(symmetric=False)(x)
    height, width = (math.ceil(side / 2) for side in sides)
    assert out.shape == (1, 1, height, width)
    before = [max((math.ceil(side / 2) - 1) * 2 + 3 - side, 0) // 2 for side in sides]
    for row in range(height):
        for column in range(width):
            top, left = 2 * row - before[0], 2 * column - before[1]
            part = x[0, 0, max(top, 0) : top + 3, max(left, 0) : left + 3]
            assert out[0, 0, row, column] == part.max()


@pytest.mark.parametrize(("stride_first", "strides"), [(True, (2, 1)), (False, (1, 2))])
def test_the_stride_of_a_bottleneck_follows_the_conventions(stride_first: bool, strides: tuple[int, int]) -> None:
    block = Bottleneck(8, 4, 2, nn.BatchNorm2d, stride_first=stride_first)
    assert (block.conv1.stride[0], block.conv2.stride[0]) == strides
    assert block(torch.rand(1, 8, 6, 6)).shape == (1, 16, 3, 3)


@pytest.mark.parametrize(("stride", "replaced"), [(8, [False, True, True]), (16, [False, False, True])])
def test_dilated_stages_are_torchvisions(stride: int, replaced: list[bool]) -> None:
    torch.manual_seed(0)
    theirs = resnet50(weights=None, replace_stride_with_dilation=replaced).eval()
    conventions = ResNetConventions()
    block, depths, groups, width = RESNETS["resnet50"]
    ours = ResNet(block, depths, nn.BatchNorm2d, groups, width, conventions=conventions, output_stride=stride).eval()
    ours.load_state_dict(
        {
            name.replace("bn", "norm").replace("downsample", "shortcut"): tensor
            for name, tensor in theirs.state_dict().items() if not name.startswith("fc.")
        }
    )  # fmt: skip
    x = torch.rand(1, 3, 65, 97)
    with torch.no_grad():
        expected = nn.Sequential(*list(theirs.children())[:-2])(x)
        actual = nn.Sequential(*list(ours.children()))(x)
    assert actual.shape[-2:] == (-(-65 // stride), -(-97 // stride))
    torch.testing.assert_close(actual, expected, atol=1e-4 * float(expected.abs().max()), rtol=0)


def test_multi_grid_and_a_dilated_first_block_are_detectron2s() -> None:
    conventions = ResNetConventions(dilate_first=True, multi_grid=(1, 2, 4))
    steps = stage_steps((3, 4, 6, 3), 16, conventions)
    assert [s.stride for s in steps] == [1, 2, 2, 1]
    assert steps[-1].dilations == (2, 4, 8) and all(set(s.dilations) == {1} for s in steps[:-1])
    assert stage_steps((3, 4, 6, 3), 32, conventions)[-1].dilations == (1, 1, 1)
    plain = stage_steps((3, 4, 6, 3), 8, ResNetConventions())
    assert plain[2].dilations == (1, 2, 2, 2, 2, 2) and plain[3].dilations == (2, 4, 4)


def test_a_stem_of_three_convolutions() -> None:
    block, depths, groups, width = RESNETS["resnet52"]
    model = ResNet(block, depths, nn.BatchNorm2d, groups, width, deep_stem=True)
    assert model.channels == [128, 256, 512, 1024, 2048]
    assert model.maxpool(model.norm1(model.conv1(torch.rand(2, 3, 64, 64)))).shape == (2, 128, 16, 16)
