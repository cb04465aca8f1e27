"""MobileNetV2: sizes, strides and dilations. `test_reference_networks.py` compares its numbers."""

import pytest
import torch
from torch import nn

from clothseg.config import BackboneSettings
from clothseg.networks.backbones.build import build_backbone
from clothseg.networks.backbones.mobilenet import InvertedResidual


@pytest.mark.parametrize("stride", [8, 16, 32])
def test_the_last_stage_has_the_output_stride(stride: int) -> None:
    settings = BackboneSettings(name="mobilenetv2", frozen_stages=0)
    backbone = build_backbone(settings, (2, 5), output_stride=stride).eval()
    low, last = backbone(torch.rand(1, 3, 96, 64))
    assert low.shape == (1, 24, 24, 16) and last.shape == (1, 320, 96 // stride, 64 // stride)


def test_the_border_sees_what_the_expansion_makes_of_zeros() -> None:
    torch.manual_seed(0)
    block = InvertedResidual(2, 3, 6, 1, 1, nn.BatchNorm2d).eval()
    with torch.no_grad():
        block.layers[1].get_parameter("bias").fill_(1.0)  # of the norm after the expansion: relu6 gives 1
        padded = nn.functional.pad(torch.zeros(1, 2, 3, 3), [1] * 4)
        inner = block.layers[:3](padded)
        assert torch.equal(inner, torch.ones_like(inner))
        out = block(torch.zeros(1, 2, 3, 3))
    torch.testing.assert_close(out, out[:, :, 1:2, 1:2].expand_as(out))
