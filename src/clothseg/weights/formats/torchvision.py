"""Torchvision's Mask R-CNN, v1 and v2, with the names of all versions of torchvision.

Source: `torchvision.models.detection.mask_rcnn`.
"""

import re
from collections.abc import Mapping

from torch import Tensor

from clothseg.weights.converted import BATCH_COUNTER, UNKNOWN_PART, ConvertedWeights
from clothseg.weights.files.tensor_file import TensorFile

BACKBONE_RENAMES = (
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
NORMS_WITHOUT_EPSILON = "coco-bf2d0c1e"
"""In the name of the file that was published before norms had an epsilon; torchvision loads it with epsilon 0."""


def recognizes(file: TensorFile) -> bool:
    """Whether the file has the names of torchvision's detector."""
    return "backbone.body.conv1.weight" in file.tensors and any(
        name.startswith("roi_heads.box_predictor.") for name in file.tensors
    )


def convert(file: TensorFile) -> ConvertedWeights:
    """Converts a file of torchvision's Mask R-CNN; no tensor changes."""
    second = any(name.startswith("rpn.head.conv.1.") for name in file.tensors)
    converted = ConvertedWeights("torchvision", f"Mask R-CNN {'v2' if second else 'v1'} of torchvision")
    _add_all(converted, file.tensors)
    converted.settings = {"network": {"conventions": "torchvision"}}
    if NORMS_WITHOUT_EPSILON in file.path.name:
        converted.settings["backbone"] = {"norm_eps": 0.0}
    return converted


def from_torchvision(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the tensors of torchvision's detector under our names."""
    converted = ConvertedWeights("torchvision", "")
    _add_all(converted, tensors)
    return converted.tensors


def backbone_name(name: str) -> str:
    """Our name of a ResNet's tensor."""
    for pattern, replacement in BACKBONE_RENAMES:
        name = re.sub(pattern, replacement, name)
    return f"backbone.model.{name}"


def _add_all(converted: ConvertedWeights, tensors: Mapping[str, Tensor]) -> None:
    for key, tensor in tensors.items():
        if key.endswith("num_batches_tracked"):
            converted.unused[key] = BATCH_COUNTER
        elif name := _our_name(key):
            converted.add(key, name, tensor)
        else:
            converted.unused[key] = UNKNOWN_PART


def _our_name(key: str) -> str | None:
    """Our name of a tensor of torchvision, or None if we have no such tensor."""
    if key.startswith("backbone.body."):
        return backbone_name(key.removeprefix("backbone.body."))
    if match := BOX_DENSE.match(key):  # v2 has one fully connected layer, after convolutions and a Flatten
        return f"box_head.dense.0.{match[2]}"
    if match := MASK_FCN.match(key):
        return MASK_FCN.sub(f"mask_head.convs.{int(match[1]) - 1}.conv.", key)
    for pattern, replacement in RENAMES:
        if re.match(pattern, key):
            return re.sub(pattern, replacement, key)
    return None
