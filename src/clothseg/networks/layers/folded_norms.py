"""Frozen norms that the convolution before them applies: its weights are scaled, not the maps that it gives.

Scaling and shifting a map reads and writes all of it, in the forward and in the backward pass, which takes a seventh of
a step of EfficientNet on a CPU. Scaling the weights first gives the same up to rounding. This is done in the blocks of
timm's EfficientNets and MobileNets, in which each norm follows one convolution.
"""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from clothseg.deferred_dynamo import import_without_dynamo
from clothseg.networks.layers.norms import FrozenNorm

_STEM = (("conv_stem", "bn1"),)
_CONV_AND_NORM = {
    "EfficientNetFeatures": _STEM,
    "MobileNetV3Features": _STEM,
    "DepthwiseSeparableConv": (("conv_dw", "bn1"), ("conv_pw", "bn2")),
    "InvertedResidual": (("conv_pw", "bn1"), ("conv_dw", "bn2"), ("conv_pwl", "bn3")),
    "EdgeResidual": (("conv_exp", "bn1"), ("conv_pwl", "bn2")),
    "ConvBnAct": (("conv", "bn1"),),
}
"""The convolutions of timm's blocks and the norms after them, by the class of the block, whose import is slow."""


class FoldedConv(nn.Conv2d):
    """A convolution without bias that applies the frozen norm after it.

    Args:
        conv: the convolution, whose weight this one has; timm's `Conv2dSame`, which pads as TensorFlow does, too.
        norm: whose scale and shift it applies. It belongs to the network, not to this module.
    """

    def __init__(self, conv: nn.Conv2d, norm: FrozenNorm) -> None:
        settings: Any = {
            name: getattr(conv, name) for name in ("kernel_size", "stride", "padding", "dilation", "groups")
        }
        super().__init__(conv.in_channels, conv.out_channels, bias=False, device="meta", **settings)
        self.weight = conv.weight
        self._pad = import_without_dynamo("timm.layers").pad_same if type(conv).__name__ == "Conv2dSame" else None
        self._norm = (norm,)  # in a tuple, so that its tensors are not those of this module

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C', H', W']` from `[B, C, H, W]`, normalised."""
        scale, shift = self._norm[0].scale_and_shift()
        if self._pad is not None:
            x = self._pad(x, self.kernel_size, self.stride, self.dilation)
        weight = self.weight * scale.view(-1, 1, 1, 1)
        return F.conv2d(x, weight, shift, self.stride, self.padding, self.dilation, self.groups)


class AppliedNorm(FrozenNorm):
    """A frozen norm that the convolution before it applies: what is left is its activation.

    Args:
        norm: timm's, whose tensors this one has under the same names.
    """

    def __init__(self, norm: Any) -> None:
        super().__init__(norm.weight.shape[0], norm.eps)
        for name in ("weight", "bias", "running_mean", "running_var"):
            setattr(self, name, getattr(norm, name))
        self.act = norm.act

    def forward(self, x: Tensor) -> Tensor:
        """The activation of `x`."""
        answer: Tensor = self.act(x)
        return answer


def fold_frozen_norms(model: nn.Module) -> None:
    """Lets the convolutions of the known blocks of `model` apply the frozen norms after them. No name changes."""
    for block in list(model.modules()):
        for conv_name, norm_name in _CONV_AND_NORM.get(type(block).__name__, ()):
            conv, norm = getattr(block, conv_name, None), getattr(block, norm_name, None)
            known = type(norm).__name__ == "FrozenBatchNormAct2d" and type(conv).__name__ in ("Conv2d", "Conv2dSame")
            if known and isinstance(conv, nn.Conv2d) and conv.bias is None:
                applied = AppliedNorm(norm)
                setattr(block, norm_name, applied)
                setattr(block, conv_name, FoldedConv(conv, applied))
