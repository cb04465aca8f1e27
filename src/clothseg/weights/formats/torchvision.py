"""Torchvision's Mask R-CNN, both versions, in its names of every age; and bare ResNets, which timm names alike."""

import re
from collections.abc import Mapping

from torch import Tensor

from clothseg.weights.converted import ConvertedWeights
from clothseg.weights.files.tensor_file import TensorFile

BODY = (
    (r"\bbn(\d)\.", r"norm\1."),
    (r"\bdownsample\.", "shortcut."),
)
RENAMES = (
    (r"^backbone\.fpn\.inner_blocks\.(\d)\.(?:0\.)?(weight|bias)$", r"fpn.lateral.\1.0.\2"),
    (r"^backbone\.fpn\.layer_blocks\.(\d)\.(?:0\.)?(weight|bias)$", r"fpn.smooth.\1.0.\2"),
    (r"^backbone\.fpn\.inner_blocks\.(\d)\.1\.", r"fpn.lateral.\1.1."),
    (r"^backbone\.fpn\.layer_blocks\.(\d)\.1\.", r"fpn.smooth.\1.1."),
    (r"^rpn\.head\.conv\.(\d)\.0\.", r"rpn.convs.\1."),
    (r"^rpn\.head\.conv\.(weight|bias)$", r"rpn.convs.0.\1"),
    (r"^rpn\.head\.cls_logits\.", "rpn.score."),
    (r"^rpn\.head\.bbox_pred\.", "rpn.delta."),
    (r"^roi_heads\.box_head\.fc6\.", "box_head.dense.0."),
    (r"^roi_heads\.box_head\.fc7\.", "box_head.dense.1."),
    (r"^roi_heads\.box_head\.(\d)\.0\.", r"box_head.convs.\1.conv."),
    (r"^roi_heads\.box_head\.(\d)\.1\.", r"box_head.convs.\1.norm."),
    (r"^roi_heads\.box_predictor\.cls_score\.", "box_head.score."),
    (r"^roi_heads\.box_predictor\.bbox_pred\.", "box_head.delta."),
    (r"^roi_heads\.mask_head\.(\d)\.0\.", r"mask_head.convs.\1.conv."),
    (r"^roi_heads\.mask_head\.(\d)\.1\.", r"mask_head.convs.\1.norm."),
    (r"^roi_heads\.mask_predictor\.conv5_mask\.", "mask_head.up."),
    (r"^roi_heads\.mask_predictor\.mask_fcn_logits\.", "mask_head.logits."),
)
MASK_FCN = re.compile(r"^roi_heads\.mask_head\.mask_fcn(\d)\.")
BOX_DENSE = re.compile(r"^roi_heads\.box_head\.(\d+)\.(weight|bias)$")
TRACKED = "counts training batches; a frozen norm has no use for it"


def is_torchvision(names: Mapping[str, object]) -> bool:
    """Whether these are names of torchvision's detector."""
    return "backbone.body.conv1.weight" in names and any(name.startswith("roi_heads.box_predictor.") for name in names)


def is_resnet(names: Mapping[str, object]) -> bool:
    """Whether these are names of a bare ResNet."""
    return "conv1.weight" in names and "layer1.0.conv1.weight" in names


def our_name(old: str) -> str | None:
    """Our name of torchvision's tensor `old`, or None where we have no such tensor."""
    if old.startswith("backbone.body."):
        return _body(old.removeprefix("backbone.body."))
    if match := MASK_FCN.match(old):
        return MASK_FCN.sub(f"mask_head.convs.{int(match[1]) - 1}.conv.", old)
    for pattern, replacement in RENAMES:
        if re.match(pattern, old):
            return re.sub(pattern, replacement, old)
    return None


def _body(name: str) -> str:
    for pattern, replacement in BODY:
        name = re.sub(pattern, replacement, name)
    return f"backbone.model.{name}"


def from_torchvision(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The detector's tensors under our names; none is changed."""
    converted = ConvertedWeights("torchvision", "")
    _take_all(converted, tensors)
    return converted.tensors


def read_torchvision(raw: TensorFile) -> ConvertedWeights:
    """A file of torchvision's Mask R-CNN."""
    second = any(name.startswith("rpn.head.conv.1.") for name in raw.tensors)
    converted = ConvertedWeights("torchvision", f"Mask R-CNN {'v2' if second else 'v1'} of torchvision")
    _take_all(converted, raw.tensors)
    converted.settings = {"network": {"conventions": "torchvision"}}
    if "coco-bf2d0c1e" in raw.path.name:  # published before the norms had an epsilon; torchvision loads it with 0
        converted.settings["backbone"] = {"norm_eps": 0.0}
    return converted


def _take_all(converted: ConvertedWeights, tensors: Mapping[str, Tensor]) -> None:
    for key, tensor in tensors.items():
        name = our_name(key)
        if key.endswith("num_batches_tracked"):
            converted.unused[key] = TRACKED
        elif match := BOX_DENSE.match(key):  # the version with convolutions has one dense layer, after a Flatten
            converted.add(key, f"box_head.dense.0.{match[2]}", tensor)
        elif name is None:
            converted.unused[key] = "no such part in this network"
        else:
            converted.add(key, name, tensor)


def read_resnet(raw: TensorFile, origin: str) -> ConvertedWeights:
    """A bare ResNet, as torchvision and timm publish them after ImageNet."""
    converted = ConvertedWeights(origin, f"ResNet alone, in the names of {origin}")
    for key, tensor in raw.tensors.items():
        if key.endswith("num_batches_tracked"):
            converted.unused[key] = TRACKED
        elif key.startswith("fc."):
            converted.unused[key] = "ImageNet's classifier"
        else:
            converted.add(key, _body(key), tensor)
    converted.settings = {"network": {"conventions": "torchvision"}}
    return converted
