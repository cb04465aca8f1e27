"""Norm layers: the frozen norm against torchvision's, and norms by their names in the settings."""

import functools

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from clothseg import cpu_path
from clothseg.errors import ConfigError
from clothseg.networks.layers.norms import BatchNorm, Convolution, FrozenNorm, group_norm, make_norm


def norms_and_maps() -> tuple[FrozenNorm, FrozenBatchNorm2d, Tensor]:
    """A frozen norm and torchvision's with the same random statistics, and random maps."""
    generator = torch.Generator().manual_seed(0)
    norm, reference = FrozenNorm(6, eps=1e-3), FrozenBatchNorm2d(6, eps=1e-3)
    state = {name: torch.rand(6, generator=generator) + 0.1 for name in norm.state_dict()}
    norm.load_state_dict(state)
    reference.load_state_dict(state)
    return norm, reference, torch.randn((2, 6, 5, 4), generator=generator)


def test_the_frozen_norm_matches_torchvision_bit_for_bit() -> None:
    norm, reference, x = norms_and_maps()
    expected = reference(x)
    assert torch.equal(norm(x.clone()), expected)
    assert torch.equal(norm(x[:, :, 0, 0].clone()), expected[:, :, 0, 0])  # vectors too
    assert not list(norm.parameters())


def test_the_frozen_norm_follows_changes_of_its_statistics() -> None:
    generator = torch.Generator().manual_seed(0)
    norm, reference = FrozenNorm(6), FrozenBatchNorm2d(6)
    x = torch.randn((2, 6, 5, 4), generator=generator)
    assert torch.equal(norm(x.clone()), reference(x))
    for either in (norm, reference):
        either.weight.mul_(3)
        either.running_mean.add_(0.5)
    assert torch.equal(norm(x.clone()), reference(x))
    state = {name: torch.rand(6, generator=generator) + 0.1 for name in norm.state_dict()}
    for either in (norm, reference):
        either.load_state_dict(state)
    assert torch.equal(norm(x.clone()), reference(x))
    assert torch.equal(norm.double()(x.double()), reference.double()(x.double()))
    with torch.inference_mode():
        norm.float()(x.clone())
    x.requires_grad_()
    torch.autograd.backward(norm(x * 1).sum())
    assert x.grad is not None
    torch.testing.assert_close(x.grad, (norm.weight / (norm.running_var + norm.eps).sqrt()).view(-1, 1, 1).expand_as(x))


def test_the_frozen_norm_in_one_step_matches_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    norm, reference, x = norms_and_maps()
    monkeypatch.setattr(cpu_path, "uses_cpu_path", lambda tensor: False)
    with torch.no_grad():
        torch.testing.assert_close(norm(x), reference(x))
        torch.testing.assert_close(norm(x[:, :, 0, 0]), reference(x)[:, :, 0, 0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_of_the_frozen_norm_in_one_step_match_torchvision(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It changes the output of a convolution in place, here of a product; gradients have the type of the maps."""
    norm, reference, x = norms_and_maps()
    x = x.to(dtype).requires_grad_()
    expected = reference(x * 3)
    gradient = torch.autograd.grad(expected.sin().sum(), x)[0]
    monkeypatch.setattr(cpu_path, "uses_cpu_path", lambda tensor: False)
    found = norm(x * 3)
    assert found.dtype == dtype
    close = functools.partial(torch.testing.assert_close, atol=1e-5, rtol=1e-5)
    if dtype == torch.bfloat16:
        close = functools.partial(torch.testing.assert_close, atol=0.1, rtol=0.05)
    close(found, expected.to(dtype))
    close(torch.autograd.grad(found.sin().sum(), x)[0], gradient)
    close(norm(x[:, :, 0, 0] * 3), expected[:, :, 0, 0].to(dtype))


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


def test_batch_norm_has_the_tensors_of_the_frozen_norm_and_its_numbers_in_inference() -> None:
    frozen, batch = FrozenNorm(6), BatchNorm(6)
    with torch.no_grad():
        for number, tensor in enumerate(frozen.state_dict().values(), start=1):
            tensor.copy_(torch.rand(6, generator=torch.Generator().manual_seed(number)) + 0.5)
    assert batch.load_state_dict(frozen.state_dict()) is not None  # strict: not a name more or less
    x = torch.rand(2, 6, 3, 4)
    with torch.no_grad():
        torch.testing.assert_close(batch.eval()(x), frozen(x.clone()))


def test_batch_norm_learns_its_statistics_and_refuses_a_single_value() -> None:
    norm = BatchNorm(2, momentum=0.1).train()
    x = torch.arange(12.0).view(3, 2, 2, 1)
    norm(x)
    torch.testing.assert_close(norm.running_mean, 0.1 * x.mean((0, 2, 3)))
    with pytest.raises(ConfigError, match="batch_size to 2"):
        norm(torch.rand(1, 2, 1, 1))


@pytest.mark.parametrize(("channels", "groups"), [(64, 32), (48, 8), (24, 8), (20, 4), (7, 1)])
def test_group_norm_fits_any_number_of_channels(channels: int, groups: int) -> None:
    norm = group_norm(channels)
    assert isinstance(norm, nn.GroupNorm) and norm.num_groups == groups
