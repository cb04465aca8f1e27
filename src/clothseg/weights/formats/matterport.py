"""Matterport's Mask R-CNN for Keras, and the Keras ResNets without top that its training starts from.

Source: the layer names of Matterport's release 2.1. Keras stores the arrays of a layer in a fixed order; this module
depends on it.
"""

import re
from functools import partial
from typing import Any

import torch
from torch import Tensor

from clothseg.errors import WeightsError
from clothseg.weights.converted import IMAGENET_CLASSIFIER, UNKNOWN_PART, ConvertedWeights, require_shapes
from clothseg.weights.files.tensor_file import TensorFile

NORM_KINDS = ("weight", "bias", "running_mean", "running_var")
"""The arrays of a norm layer in the order of Keras."""

LAYERS = {
    "conv1": "backbone.model.conv1",
    "bn_conv1": "backbone.model.norm1",
    "rpn_conv_shared": "rpn.convs.0",
    "rpn_class_raw": "rpn.score",
    "rpn_bbox_pred": "rpn.delta",
    "mrcnn_class_conv1": "box_head.dense.0",
    "mrcnn_class_bn1": "box_head.norms.0",
    "mrcnn_class_conv2": "box_head.dense.1",
    "mrcnn_class_bn2": "box_head.norms.1",
    "mrcnn_class_logits": "box_head.score",
    "mrcnn_bbox_fc": "box_head.delta",
    "mrcnn_mask_deconv": "mask_head.up",
    "mrcnn_mask": "mask_head.logits",
}
DEFAULTS: dict[str, Any] = {
    "input": {"resize": "square", "min_side": 800, "max_side": 1024},
    "network": {
        "conventions": "matterport",
        "anchors": {"ratios": [2.0, 1.0, 0.5]},
        "rpn": {"pre_nms_top_n_train": 6000, "pre_nms_top_n_test": 6000},
        "box_head": {"samples": 200, "positive_fraction": 0.33},
    },
    "inference": {"score_threshold": 0.7, "nms_iou": 0.3, "max_detections": 100},
}
"""The defaults of Matterport's `Config`. Its anchors have the wide ones last; here those have the low ratios."""


def recognizes(file: TensorFile) -> bool:
    """Whether the file has the layers of Matterport's network or of a Keras ResNet."""
    return any(name.startswith("res2a_branch2a/") for name in file.tensors)


def convert(file: TensorFile) -> ConvertedWeights:
    """Converts a file of the whole network or of a ResNet.

    Raises:
        WeightsError: a norm is missing, or a kernel has a shape that the network does not have.
    """
    has_heads = any(name.startswith("mrcnn_") for name in file.tensors)
    layout = "Mask R-CNN of Matterport (Keras)" if has_heads else "ResNet without top (Keras)"
    converted = ConvertedWeights("matterport", layout)
    biases: dict[str, tuple[str, Tensor]] = {}  # of convolutions before a norm
    for key, tensor in file.tensors.items():
        match = re.match(r"([^/]+)/(\d+)/", key)
        layer, position = (match[1], int(match[2])) if match else (key, 0)
        our_layer = _our_layer(layer)
        if our_layer is None or position >= len(NORM_KINDS):
            converted.unused[key] = IMAGENET_CLASSIFIER if layer == "fc1000" else UNKNOWN_PART
        elif layer.startswith("bn") or "_bn" in layer:
            converted.add(key, f"{our_layer}.{NORM_KINDS[position]}", tensor)
        elif position == 0:
            converted.add(key, f"{our_layer}.weight", *_convert_kernel(layer, tensor, f"{file.path}: tensor {key}"))
        elif norm := _norm_after(our_layer):
            biases[key] = (norm, tensor)
        else:
            converted.add(key, f"{our_layer}.bias", *_convert_rows(layer, tensor, f"{file.path}: tensor {key}"))
    require_shapes(file.path, converted)
    for key, (norm, bias) in biases.items():
        name = f"{norm}.running_mean"
        if name not in converted.tensors:
            raise WeightsError(f"{file.path}: layer {key.split('/')[0]} has a bias, but the norm after it is missing")
        if bias.shape != (mean := converted.tensors[name]).shape:
            raise WeightsError(
                f"{file.path}: tensor {key} has the shape {list(bias.shape)}, but should be {list(mean.shape)}, like "
                "the mean of the norm after it"
            )
        converted.update(name, key, "subtracted from the mean of the norm after it", partial(_subtract, bias))
    converted.settings = dict(DEFAULTS)
    return converted


def _our_layer(layer: str) -> str | None:
    """Our name of a layer, or None if we have no such layer."""
    if layer in LAYERS:
        return LAYERS[layer]
    if match := re.fullmatch(r"(res|bn)([2-5])([a-z])(\d*)_branch(1|2[abc])", layer):
        kind, stage, letter, number, branch = match.groups()
        block = int(number) if number else ord(letter) - ord("a")
        if branch == "1":
            part = f"shortcut.{0 if kind == 'res' else 1}"
        else:
            part = f"{'conv' if kind == 'res' else 'norm'}{'abc'.index(branch[-1]) + 1}"
        return f"backbone.model.layer{int(stage) - 1}.{block}.{part}"
    if match := re.fullmatch(r"fpn_c([2-5])p\1", layer):
        return f"fpn.lateral.{int(match[1]) - 2}.0"
    if match := re.fullmatch(r"fpn_p([2-5])", layer):
        return f"fpn.smooth.{int(match[1]) - 2}.0"
    if match := re.fullmatch(r"mrcnn_mask_(conv|bn)(\d)", layer):
        return f"mask_head.convs.{int(match[2]) - 1}.{'conv' if match[1] == 'conv' else 'norm'}"
    return None


def _subtract(bias: Tensor, mean: Tensor) -> Tensor:
    return (mean.double() - bias.double()).float()


def _norm_after(our_layer: str) -> str:
    """Our name of the norm after a convolution without bias, or the empty string."""
    if our_layer == "backbone.model.conv1" or re.search(r"layer\d\.\d+\.conv\d$", our_layer):
        return our_layer[:-5] + "norm" + our_layer[-1]
    if our_layer.endswith("shortcut.0"):
        return our_layer[:-1] + "1"
    return our_layer[:-4] + "norm" if our_layer.startswith("mask_head.convs.") else ""


def _convert_kernel(layer: str, kernel: Tensor, what: str) -> tuple[Tensor, str]:
    """Converts a kernel with Keras's axes (height, width, inputs, outputs), and describes the change.

    `what` names file and tensor in messages.
    """
    if kernel.dim() == 2:
        return _convert_rows(layer, kernel.T, what)
    if kernel.dim() != 4:
        raise WeightsError(
            f"{what} has the shape {list(kernel.shape)}, but a kernel should be [height, width, inputs, outputs] or "
            "[inputs, outputs]"
        )
    rows, change = kernel.permute(3, 2, 0, 1), "axes reordered"
    if layer.startswith("mrcnn_class_conv"):
        rows, change = rows.flatten(1), "axes reordered and flattened: the convolution covers the whole box"
    rows, row_change = _convert_rows(layer, rows, what)
    return rows, f"{change}; {row_change}" if row_change else change


def _convert_rows(layer: str, rows: Tensor, what: str) -> tuple[Tensor, str]:
    """Converts the rows (outputs) of a layer to our order, and describes the change."""
    of_one = {"rpn_class_raw": 2, "rpn_bbox_pred": 4, "mrcnn_bbox_fc": 4}.get(layer, 1)
    if not rows.dim() or not rows.numel() or len(rows) % of_one:
        count = f"a multiple of {of_one}" if of_one > 1 else "at least 1"
        raise WeightsError(f"{what} has {len(rows) if rows.dim() else 'no'} outputs, but should have {count}")
    if layer == "rpn_class_raw":
        pairs = rows.reshape(-1, 2, *rows.shape[1:]).double()
        return (pairs[:, 1] - pairs[:, 0]).float(), "foreground minus background of each pair"
    if layer in {"rpn_bbox_pred", "mrcnn_bbox_fc"}:
        order = torch.tensor([1, 0, 3, 2])
        return rows.reshape(-1, 4, *rows.shape[1:])[:, order].flatten(0, 1), "y x h w to x y w h"
    return rows, ""
