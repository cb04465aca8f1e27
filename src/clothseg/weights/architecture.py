"""Which network a file is for, read off the shapes of its tensors."""

import math
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from clothseg.networks.backbones import RESNETS

Tree = dict[str, Any]


def backbone_name(tensors: Mapping[str, Tensor]) -> str | None:
    """The name of our ResNet that these tensors (our names) are of, or None for one that we do not have."""
    prefix = "backbone.model."
    depths = tuple(
        1 + max((int(m[1]) for name in tensors if (m := re.match(rf"{prefix}layer{n}\.(\d+)\.", name))), default=-1)
        for n in range(1, 5)
    )
    bottleneck = f"{prefix}layer1.0.conv3.weight" in tensors
    middle = tensors.get(f"{prefix}layer1.0.conv2.weight")
    groups, width = 1, 64
    if bottleneck and middle is not None and middle.dim() == 4:
        groups = len(middle) // max(1, middle.shape[1])
        width = middle.shape[1] if groups > 1 else len(middle)
    for name, (block, their_depths, their_groups, their_width) in RESNETS.items():
        same = (their_depths, their_groups, their_width) == (depths, groups, width)
        if same and (block.expansion == 4) == bottleneck:
            return name
    return None


def infer_settings(tensors: Mapping[str, Tensor]) -> Tree:
    """Sections and values of `Config` that the tensors (our names) show; nothing on what they do not show."""
    tree: Tree = {}
    if name := backbone_name(tensors):
        grouped = "backbone.model.norm1.weight" in tensors and "backbone.model.norm1.running_mean" not in tensors
        tree["backbone"] = {"name": name, "norm": "group" if grouped else "frozen"}
    lateral = tensors.get("fpn.lateral.0.0.weight")
    if lateral is not None:
        tree["network"] = {"fpn": {"channels": len(lateral), "norm": _norm(tensors, "fpn.lateral.0.1")}}
        tree["network"] |= _rpn(tensors, len(lateral)) | _boxes(tensors, len(lateral)) | _mask(tensors)
    return tree


def class_count(tensors: Mapping[str, Tensor]) -> int | None:
    """How many classes besides background the heads are for; None without heads."""
    score = tensors.get("box_head.score.weight")
    return None if score is None else len(score) - 1


def _norm(tensors: Mapping[str, Tensor], place: str) -> str:
    if f"{place}.running_mean" in tensors:
        return "frozen"
    return "group" if f"{place}.weight" in tensors else "none"


def _count(tensors: Mapping[str, Tensor], pattern: str) -> int:
    """How many layers there are by their highest number, so that one that was lost between is missed later."""
    return 1 + max((int(match[1]) for name in tensors if (match := re.fullmatch(pattern, name))), default=-1)


def _rpn(tensors: Mapping[str, Tensor], channels: int) -> Tree:
    score = tensors.get("rpn.score.weight")
    if score is None or score.dim() != 4:
        return {}
    tree: Tree = {"num_conv": max(1, _count(tensors, r"rpn\.convs\.(\d+)\.weight"))}
    if score.shape[1] != channels:
        tree["channels"] = score.shape[1]
    return {"rpn": tree}


def _boxes(tensors: Mapping[str, Tensor], channels: int) -> Tree:
    first = tensors.get("box_head.dense.0.weight")
    if first is None or first.dim() != 2:
        return {}
    tree: Tree = {
        "num_conv": _count(tensors, r"box_head\.convs\.(\d+)\.conv\.weight"),
        "norm": _norm(tensors, "box_head.convs.0.norm"),
        "num_fc": _count(tensors, r"box_head\.dense\.(\d+)\.weight"),
        "fc_dim": len(first),
        "fc_norm": _norm(tensors, "box_head.norms.0"),
        "pool_size": math.isqrt(first.shape[1] // channels),
    }
    return {"box_head": tree}


def _mask(tensors: Mapping[str, Tensor]) -> Tree:
    up = tensors.get("mask_head.up.weight")
    if up is None or up.dim() != 4:
        return {}
    return {
        "mask_head": {
            "channels": up.shape[1],
            "num_conv": _count(tensors, r"mask_head\.convs\.(\d+)\.conv\.weight") or 4,  # nobody's has none
            "norm": _norm(tensors, "mask_head.convs.0.norm"),
        }
    }
