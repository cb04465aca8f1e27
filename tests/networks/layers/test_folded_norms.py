"""Folded norms against timm's own frozen norms, in 64 bits."""

import copy
from typing import Any

import pytest
import timm
import torch
from timm.utils import model as timm_utilities
from torch import Tensor, nn

from clothseg.networks.layers.folded_norms import AppliedNorm, FoldedConv, fold_frozen_norms

NAMES: dict[str, Any] = {
    "tf_efficientnet_lite2": {},  # pads as TensorFlow does
    "efficientnet_lite0": {"output_stride": 16},
    "mobilenetv3_small_100": {},  # squeeze and excitation
    "efficientnet_es": {},  # fused blocks
}


def frozen(name: str) -> Any:
    """A feature extractor with random statistics of its norms, which are frozen."""
    torch.manual_seed(0)
    model = timm.create_model(name, features_only=True, **NAMES[name])
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                for tensor_name, tensor in module.state_dict().items():
                    if tensor_name in ("weight", "running_var"):
                        tensor.uniform_(0.5, 1.5)
                    elif tensor_name in ("bias", "running_mean"):
                        tensor.normal_(0, 0.1)
    freeze: Any = vars(timm_utilities)["freeze_batch_norm_2d"]
    return freeze(model).double()


def outputs_and_gradients(model: nn.Module, photo: Tensor) -> list[Tensor]:
    outputs = model(photo)
    gradients = torch.autograd.grad(sum(x.square().sum() for x in outputs), list(model.parameters()))
    return [*outputs, *gradients]


@pytest.mark.parametrize("size", [(64, 96), (63, 37)])
@pytest.mark.parametrize("name", NAMES)
def test_features_and_gradients_are_those_of_norms_of_their_own(name: str, size: tuple[int, int]) -> None:
    model = frozen(name)
    photo = torch.rand((2, 3, *size), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected, names = outputs_and_gradients(model, photo), list(model.state_dict())
    fold_frozen_norms(model)
    folded = [module for module in model.modules() if isinstance(module, FoldedConv)]
    assert len(folded) == sum(isinstance(m, AppliedNorm) for m in model.modules()) > 20
    assert not any(type(m).__name__ == "FrozenBatchNormAct2d" for m in model.modules())
    assert list(model.state_dict()) == names
    for found, other in zip(outputs_and_gradients(model, photo), expected, strict=True):
        torch.testing.assert_close(found, other, rtol=1e-7, atol=1e-9 * max(other.abs().max().item(), 1))


def test_statistics_that_are_loaded_later_count_in_copies_too() -> None:
    model, other = frozen("tf_efficientnet_lite2"), frozen("tf_efficientnet_lite2")
    fold_frozen_norms(model)
    photo = torch.rand((1, 3, 64, 64), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    before = model(photo)[-1]
    twin = copy.deepcopy(model)
    state = {k: v * 1.1 if k.endswith(("running_var", "bias")) else v for k, v in other.state_dict().items()}
    twin.load_state_dict(state)
    other.load_state_dict(state)
    torch.testing.assert_close(twin(photo)[-1], other(photo)[-1], rtol=1e-9, atol=1e-12)
    assert torch.equal(model(photo)[-1], before)
    assert not torch.allclose(twin(photo)[-1], before)


def test_norms_that_learn_stay_as_they_are() -> None:
    model = timm.create_model("tf_efficientnet_lite2", features_only=True)
    kinds = [type(module) for module in model.modules()]
    fold_frozen_norms(model)
    assert [type(module) for module in model.modules()] == kinds
