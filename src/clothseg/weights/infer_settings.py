"""Settings and classes of Mask R-CNN that the shapes of a file's tensors show. All names are ours."""

import math
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from clothseg.networks.backbones import DEEP_STEMS, RESNETS
from clothseg.weights.coco_classes import COCO

Tree = dict[str, Any]


def infer_settings(tensors: Mapping[str, Tensor]) -> Tree:
    """Infers sections and values of `Config` from tensor names and shapes; leaves out what they do not show."""
    tree: Tree = {}
    if name := _backbone_name(tensors):
        grouped = "backbone.model.norm1.weight" in tensors and "backbone.model.norm1.running_mean" not in tensors
        tree["backbone"] = {"name": name, "norm": "group" if grouped else "frozen"}
    lateral = tensors.get("fpn.lateral.0.0.weight")
    if lateral is not None:
        channels = len(lateral)
        tree["network"] = {"fpn": {"channels": channels, "norm": _norm(tensors, "fpn.lateral.0.1")}}
        tree["network"] |= _rpn(tensors, channels) | _box_head(tensors, channels) | _mask_head(tensors)
    return tree


def infer_classes(tensors: Mapping[str, Tensor]) -> list[str] | None:
    """Returns names for the classes 1..K of a file without names, or None if it has no heads.

    The names are COCO's for 80 classes, and for 90 classes (COCO's ids with gaps); else `class 1`, `class 2`, ...
    """
    score = tensors.get("box_head.score.weight")
    if score is None:
        return None
    return class_names(len(score) - 1)


def class_names(count: int) -> list[str]:
    """Names for `count` classes without names; see `infer_classes`."""
    if count == len(COCO):
        return list(COCO.values())
    if count == max(COCO):
        return [COCO.get(number, f"unused {number}") for number in range(1, count + 1)]
    return [f"class {number}" for number in range(1, count + 1)]


def _backbone_name(tensors: Mapping[str, Tensor]) -> str | None:
    """The name of the ResNet in our table with the same depths, groups and widths; None if there is none."""
    prefix = "backbone.model."
    depths = tuple(_count(tensors, rf"{prefix}layer{stage}\.(\d+)\..*") for stage in range(1, 5))
    bottleneck = f"{prefix}layer1.0.conv3.weight" in tensors
    conv2 = tensors.get(f"{prefix}layer1.0.conv2.weight")
    groups, width = 1, 64
    if bottleneck and conv2 is not None and conv2.dim() == 4:
        groups = len(conv2) // max(1, conv2.shape[1])
        width = conv2.shape[1] if groups > 1 else len(conv2)
    deep = f"{prefix}conv1.0.weight" in tensors
    for name, (block, *shape) in RESNETS.items():
        if (
            deep == (name in DEEP_STEMS)
            and tuple(shape) == (depths, groups, width)
            and (block.expansion == 4) == bottleneck
        ):
            return name
    return None


def _norm(tensors: Mapping[str, Tensor], place: str) -> str:
    if f"{place}.running_mean" in tensors:
        return "frozen"
    return "group" if f"{place}.weight" in tensors else "none"


def _count(tensors: Mapping[str, Tensor], pattern: str) -> int:
    """The highest layer number plus 1. It includes lost layers between, so that loading reports them as missing."""
    return 1 + max((int(match[1]) for name in tensors if (match := re.fullmatch(pattern, name))), default=-1)


def _rpn(tensors: Mapping[str, Tensor], channels: int) -> Tree:
    score = tensors.get("rpn.score.weight")
    if score is None or score.dim() != 4:
        return {}
    tree: Tree = {"num_conv": max(1, _count(tensors, r"rpn\.convs\.(\d+)\.weight"))}
    if score.shape[1] != channels:
        tree["channels"] = score.shape[1]
    return {"rpn": tree}


def _box_head(tensors: Mapping[str, Tensor], channels: int) -> Tree:
    first = tensors.get("box_head.dense.0.weight")
    if first is None or first.dim() != 2:
        return {}
    return {
        "box_head": {
            "num_conv": _count(tensors, r"box_head\.convs\.(\d+)\.conv\.weight"),
            "norm": _norm(tensors, "box_head.convs.0.norm"),
            "num_fc": _count(tensors, r"box_head\.dense\.(\d+)\.weight"),
            "fc_dim": len(first),
            "fc_norm": _norm(tensors, "box_head.norms.0"),
            "pool_size": math.isqrt(first.shape[1] // channels),
        }
    }


def _mask_head(tensors: Mapping[str, Tensor]) -> Tree:
    up = tensors.get("mask_head.up.weight")
    if up is None or up.dim() != 4:
        return {}
    return {
        "mask_head": {
            "channels": up.shape[1],
            "num_conv": _count(tensors, r"mask_head\.convs\.(\d+)\.conv\.weight") or 4,  # no origin has 0
            "norm": _norm(tensors, "mask_head.convs.0.norm"),
        }
    }
