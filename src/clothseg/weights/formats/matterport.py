"""The Keras implementation of Mask R-CNN by Matterport, and the ResNets without top that it starts from.

Source: the layer names of its release 2.1; Keras stores a layer's arrays in a fixed order, which is relied on here.
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from clothseg.errors import WeightsError
from clothseg.weights.converted import ConvertedWeights
from clothseg.weights.files.tensor_file import TensorFile

NORM_KINDS = ("weight", "bias", "running_mean", "running_var")
PLACES = {
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
"""Those of its `Config`; anchors come with the wide ones last there, which are the low ratios here."""


def is_matterport(names: Mapping[str, object]) -> bool:
    """Whether these are its layers, or those of a Keras ResNet."""
    return any(name.startswith("res2a_branch2a/") for name in names)


def place_of(layer: str) -> str | None:
    """Our name of a layer, or None for one that we do not have."""
    if layer in PLACES:
        return PLACES[layer]
    if match := re.fullmatch(r"(res|bn)([2-5])([a-z])(\d*)_branch(1|2[abc])", layer):
        kind, stage, letter, number, branch = match.groups()
        block = int(number) if number else ord(letter) - ord("a")
        part = {"res": "conv", "bn": "norm"}[kind] + str("1abc".index(branch[-1]) if branch != "1" else "")
        if branch == "1":
            part = f"shortcut.{0 if kind == 'res' else 1}"
        return f"backbone.model.layer{int(stage) - 1}.{block}.{part}"
    if match := re.fullmatch(r"fpn_c([2-5])p\1", layer):
        return f"fpn.lateral.{int(match[1]) - 2}.0"
    if match := re.fullmatch(r"fpn_p([2-5])", layer):
        return f"fpn.smooth.{int(match[1]) - 2}.0"
    if match := re.fullmatch(r"mrcnn_mask_(conv|bn)(\d)", layer):
        return f"mask_head.convs.{int(match[2]) - 1}.{'conv' if match[1] == 'conv' else 'norm'}"
    return None


def read_matterport(raw: TensorFile) -> ConvertedWeights:
    """A file of the whole network, or of the ResNet alone."""
    whole = any(name.startswith("mrcnn_") for name in raw.tensors)
    layout = "Mask R-CNN of Matterport (Keras)" if whole else "ResNet without top (Keras)"
    converted = ConvertedWeights("matterport", layout)
    biases: dict[str, tuple[str, Tensor]] = {}
    for key, tensor in raw.tensors.items():
        layer, number, _ = key.split("/", 2)
        place, order = place_of(layer), int(number)
        if place is None:
            converted.unused[key] = "ImageNet's classifier" if layer == "fc1000" else "no such part in this network"
        elif layer.startswith("bn") or "_bn" in layer:
            converted.add(key, f"{place}.{NORM_KINDS[order]}", tensor)
        elif order == 0:
            converted.add(key, f"{place}.weight", *_kernel(layer, tensor, key))
        elif _norm_after(place):
            biases[key] = (_norm_after(place), tensor)
        else:
            converted.add(key, f"{place}.bias", *_rows(layer, tensor))
    for key, (norm, bias) in biases.items():
        name = f"{norm}.running_mean"
        if name not in converted.tensors:
            raise WeightsError(f"{raw.path}: layer {key.split('/')[0]} has a bias, but the norm after it is missing")
        words = "taken off the mean of the norm after it, which comes to the same"
        converted.fold(name, key, words, partial(_less, bias))
    converted.settings = dict(DEFAULTS)
    return converted


def _less(bias: Tensor, mean: Tensor) -> Tensor:
    return (mean.double() - bias.double()).float()


def _norm_after(place: str) -> str:
    """Our name of the norm that follows a convolution without bias, or nothing."""
    if place == "backbone.model.conv1" or re.search(r"layer\d\.\d+\.conv\d$", place):
        return place[:-5] + "norm" + place[-1]
    if place.endswith("shortcut.0"):
        return place[:-1] + "1"
    return place[:-4] + "norm" if place.startswith("mask_head.convs.") else ""


def _kernel(layer: str, kernel: Tensor, key: str) -> tuple[Tensor, str]:
    """Our form of a kernel, whose axes Keras orders height, width, inside, outside, and what was done."""
    if kernel.dim() == 2:
        return _rows(layer, kernel.T)
    if kernel.dim() != 4:
        raise WeightsError(f"{key}: a kernel of shape {tuple(kernel.shape)} is none of this network")
    turned, words = kernel.permute(3, 2, 0, 1), "axes turned"
    if layer.startswith("mrcnn_class_conv"):
        turned, words = turned.flatten(1), "axes turned and flattened: the convolution covers the whole box"
    rows, more = _rows(layer, turned)
    return rows, f"{words}; {more}" if more else words


def _rows(layer: str, tensor: Tensor) -> tuple[Tensor, str]:
    """The rows of `tensor` in our order."""
    if layer == "rpn_class_raw":
        pairs = tensor.reshape(-1, 2, *tensor.shape[1:]).double()
        return (pairs[:, 1] - pairs[:, 0]).float(), "foreground minus background of each pair"
    if layer in {"rpn_bbox_pred", "mrcnn_bbox_fc"}:
        order = torch.tensor([1, 0, 3, 2])
        return tensor.reshape(-1, 4, *tensor.shape[1:])[:, order].flatten(0, 1), "y x h w to x y w h"
    return tensor, ""
