"""Differences between implementations of a ResNet, against hand-computed values."""

import math

import pytest
import torch
from torch import nn

from clothseg.networks.backbones.resnet import Bottleneck, StemPool


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
