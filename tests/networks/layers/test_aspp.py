"""ASPP: shapes, what each branch sees, and the pooled branch over the whole map and over a window."""

import pytest
import torch
from torch import nn

from clothseg.networks.layers.aspp import Aspp, ConvolutionKind, SeparableConvolution
from clothseg.networks.layers.norms import group_norm


def make(window: tuple[int, int] | None = None, *, separable: bool = False) -> Aspp:
    torch.manual_seed(0)
    return Aspp(6, 8, (2, 4), ConvolutionKind(group_norm, separable), None, window).eval()


@pytest.mark.parametrize("separable", [False, True])
@pytest.mark.parametrize("window", [None, (3, 2), (99, 99)])
def test_the_map_keeps_its_size(window: tuple[int, int] | None, separable: bool) -> None:
    assert make(window, separable=separable)(torch.rand(2, 6, 7, 5)).shape == (2, 8, 7, 5)


def test_a_branch_reaches_as_far_as_its_dilation() -> None:
    aspp = make()
    pixels = torch.zeros(1, 6, 13, 13, requires_grad=True)
    for number, reach in ((0, 0), (1, 2), (2, 4)):
        branch = aspp.branches[number]
        assert isinstance(branch, nn.Module)
        conv = branch.get_submodule("conv")
        (gradient,) = torch.autograd.grad(conv(pixels)[0, :, 6, 6].sum(), pixels)
        rows, columns = torch.where(gradient[0].abs().sum(0) > 0)
        steps = {0} if reach == 0 else {6 - reach, 6, 6 + reach}
        assert set(rows.tolist()) == set(columns.tolist()) == (steps if reach else {6})


def test_the_pooled_branch_is_the_mean_of_each_place_of_the_window() -> None:
    pixels = torch.rand(1, 6, 4, 5)
    pooled = make((3, 2)).pool(pixels)
    assert pooled.shape == (1, 6, 2, 4)
    torch.testing.assert_close(pooled[0, :, 1, 2], pixels[0, :, 1:4, 2:4].mean((1, 2)))
    torch.testing.assert_close(make().pool(pixels)[0, :, 0, 0], pixels[0].mean((1, 2)))


def test_a_window_as_large_as_the_map_is_the_whole_map() -> None:
    pixels = torch.rand(1, 6, 4, 5)
    torch.testing.assert_close(make((4, 5))(pixels), make()(pixels))


def test_a_separable_convolution_without_norm_between_is_one_convolution() -> None:
    torch.manual_seed(0)
    separable = SeparableConvolution(3, 5, 3, ConvolutionKind(None, True, norm_between=False), 2)
    depthwise, pointwise = separable.depthwise, separable.pointwise.conv
    assert isinstance(depthwise, nn.Conv2d)
    merged = nn.Conv2d(3, 5, 3, padding=2, dilation=2)
    with torch.no_grad():
        merged.weight.copy_(pointwise.weight * depthwise.weight.transpose(0, 1))
        merged.get_parameter("bias").copy_(pointwise.get_parameter("bias"))
    pixels = torch.rand(2, 3, 9, 8)
    torch.testing.assert_close(separable(pixels), merged(pixels).relu())
