"""Norm layers: the frozen norm against torchvision's, and norms by their names in the settings."""

import torch
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from clothseg.networks.layers.norms import Convolution, FrozenNorm, make_norm


def test_the_frozen_norm_matches_torchvision_bit_for_bit() -> None:
    generator = torch.Generator().manual_seed(0)
    norm, reference = FrozenNorm(6, eps=1e-3), FrozenBatchNorm2d(6, eps=1e-3)
    state = {name: torch.rand(6, generator=generator) + 0.1 for name in norm.state_dict()}
    norm.load_state_dict(state)
    reference.load_state_dict(state)
    x = torch.randn((2, 6, 5, 4), generator=generator)
    expected = reference(x)
    assert torch.equal(norm(x.clone()), expected)
    assert torch.equal(norm(x[:, :, 0, 0].clone()), expected[:, :, 0, 0])  # vectors too
    assert not list(norm.parameters())


def test_make_norm_builds_each_norm() -> None:
    assert make_norm("none", 1e-5) is None
    frozen, group = make_norm("frozen", 0.01), make_norm("group", 1e-5)
    assert frozen is not None
    assert group is not None
    assert isinstance(frozen(8), FrozenNorm)
    for channels, groups in ((64, 32), (24, 8)):
        layer_norm = group(channels)
        assert isinstance(layer_norm, nn.GroupNorm)
        assert layer_norm.num_groups == groups


def test_a_convolution_has_a_norm_or_a_bias() -> None:
    plain, normed = Convolution(3, 8, 3, None), Convolution(3, 8, 3, make_norm("group", 1e-5))
    assert plain.conv.bias is not None
    assert normed.conv.bias is None
    for layer in (plain, normed):
        out = layer(torch.randn(1, 3, 6, 5))
        assert out.shape == (1, 8, 6, 5)
        assert float(out.detach().min()) == 0  # after ReLU
