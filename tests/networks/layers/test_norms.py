"""What normalises: against torchvision's frozen norm, and by the names of the configuration."""

import torch
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from clothseg.networks.layers.norms import Convolution, FrozenNorm, make_norm


def test_the_frozen_norm_gives_torchvisions_bits() -> None:
    generator = torch.Generator().manual_seed(0)
    mine, theirs = FrozenNorm(6, eps=1e-3), FrozenBatchNorm2d(6, eps=1e-3)
    state = {name: torch.rand(6, generator=generator) + 0.1 for name in mine.state_dict()}
    mine.load_state_dict(state)
    theirs.load_state_dict(state)
    x = torch.randn((2, 6, 5, 4), generator=generator)
    expected = theirs(x)
    assert torch.equal(mine(x.clone()), expected)
    assert torch.equal(mine(x[:, :, 0, 0].clone()), expected[:, :, 0, 0])  # vectors too
    assert not list(mine.parameters())


def test_norms_by_name() -> None:
    assert make_norm("none", 1e-5) is None
    frozen, group = make_norm("frozen", 0.01), make_norm("group", 1e-5)
    assert frozen is not None
    assert group is not None
    assert isinstance(frozen(8), FrozenNorm)
    for channels, groups in ((64, 32), (24, 8)):
        made = group(channels)
        assert isinstance(made, nn.GroupNorm)
        assert made.num_groups == groups


def test_a_convolution_has_a_norm_or_a_bias() -> None:
    plain, normed = Convolution(3, 8, 3, None), Convolution(3, 8, 3, make_norm("group", 1e-5))
    assert plain.conv.bias is not None
    assert normed.conv.bias is None
    for layer in (plain, normed):
        out = layer(torch.randn(1, 3, 6, 5))
        assert out.shape == (1, 8, 6, 5)
        assert float(out.detach().min()) == 0  # after ReLU
