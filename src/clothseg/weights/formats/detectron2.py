"""Detectron2's Mask R-CNN and ResNets, with detectron2's names or Caffe2's.

Source: the files of detectron2's model zoo. The Caffe2 names come from Detectron, which is older.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from clothseg.weights.converted import (
    BATCH_COUNTER,
    IMAGENET_CLASSIFIER,
    UNKNOWN_PART,
    ConvertedWeights,
    prepend_background,
    require_shapes,
)
from clothseg.weights.files.tensor_file import TensorFile

PREFIX = r"(?:^|^.*\.)"
"""A name may start after any dot: converted files often omit the prefix."""

SMALL = r"(weight|bias)$"
NORM = r"norm\.(weight|bias|running_mean|running_var|num_batches_tracked)$"
BuildName = Callable[[re.Match[str]], str]


def _resnet_name(match: re.Match[str]) -> str:
    stage, block, part, normed, kind = match.groups()
    place = f"backbone.model.layer{int(stage) - 1}.{block}."
    if part == "shortcut":
        return f"{place}shortcut.{1 if normed else 0}.{kind}"
    return f"{place}{'norm' if normed else 'conv'}{part[-1]}.{kind}"


def _fpn_name(match: re.Match[str]) -> str:
    which, stage, normed, kind = match.groups()
    part = {"lateral": "lateral", "output": "smooth"}[which]
    return f"fpn.{part}.{int(stage) - 2}.{1 if normed else 0}.{kind}"


def _numbered(place: str) -> BuildName:
    def build_name(match: re.Match[str]) -> str:
        number, normed, kind = match.groups()
        return f"{place}.{int(number) - 1}.{'norm' if normed else 'conv'}.{kind}"

    return build_name


def _plain(place: str) -> BuildName:
    return lambda match: f"{place}.{match.groups()[-1]}"


KIND = r"(norm\.)?(weight|bias|running_mean|running_var|num_batches_tracked)$"
RENAMES: tuple[tuple[str, BuildName], ...] = (
    (PREFIX + r"stem\.conv1\." + SMALL, _plain("backbone.model.conv1")),
    (PREFIX + r"stem\.conv1\." + NORM, _plain("backbone.model.norm1")),
    (PREFIX + r"res([2-5])\.(\d+)\.(shortcut|conv[123])\." + KIND, _resnet_name),
    (PREFIX + r"fpn_(lateral|output)([2-5])\." + KIND, _fpn_name),
    (PREFIX + r"rpn_head\.conv\." + SMALL, _plain("rpn.convs.0")),
    (PREFIX + r"rpn_head\.conv\.conv(\d)\." + SMALL, lambda m: f"rpn.convs.{m[1]}.{m[2]}"),
    (PREFIX + r"rpn_head\.objectness_logits\." + SMALL, _plain("rpn.score")),
    (PREFIX + r"rpn_head\.anchor_deltas\." + SMALL, _plain("rpn.delta")),
    (PREFIX + r"box_head\.fc(\d)\." + SMALL, lambda m: f"box_head.dense.{int(m[1]) - 1}.{m[2]}"),
    (PREFIX + r"box_head\.conv(\d)\." + KIND, _numbered("box_head.convs")),
    (PREFIX + r"box_predictor\.cls_score\." + SMALL, _plain("box_head.score")),
    (PREFIX + r"box_predictor\.bbox_pred\." + SMALL, _plain("box_head.delta")),
    (PREFIX + r"mask_head\.mask_fcn(\d)\." + KIND, _numbered("mask_head.convs")),
    (PREFIX + r"mask_head\.deconv\." + SMALL, _plain("mask_head.up")),
    (PREFIX + r"mask_head\.predictor\." + SMALL, _plain("mask_head.logits")),
)
DEEP_STEM = {"1": ("conv1.0", "conv1.1"), "2": ("conv1.3", "conv1.4"), "3": ("conv1.6", "norm1")}
"""Our convolution and norm for each convolution of a stem of three."""
UNUSED = (
    (r".*\bcell_anchors\b", "anchors are computed"),
    (r".*num_batches_tracked$", BATCH_COUNTER),
    (r".*_momentum$", "state of the optimizer"),
    (r"conv1_b$", "a bias before a norm, which cancels it"),
    (r"(stem\.)?fc(1000)?[._]", IMAGENET_CLASSIFIER),
    (r".*\blinear\.", IMAGENET_CLASSIFIER),
    (r"(.*\.)?pixel_(mean|std)$", "used as settings"),
)
BRANCHES = {"branch1": "shortcut", "branch2a": "conv1", "branch2b": "conv2", "branch2c": "conv3"}
CAFFE2_NORM_KINDS = {
    "s": "weight",
    "b": "bias",
    "gamma": "weight",
    "beta": "bias",
    "running_mean": "running_mean",
    "running_var": "running_var",
    "rm": "running_mean",
}
CAFFE2_LAYERS = (
    (r"(?:res_)?conv1", "stem.conv1"),
    (r"res([2-5])_(\d+)_(branch1|branch2[abc])", "res{0}.{1}.{branch}"),
    (r"fpn_inner_res([2-5])_\d+_sum(?:_lateral)?", "fpn_lateral{0}"),
    (r"fpn_res([2-5])_\d+_sum", "fpn_output{0}"),
    (r"conv_rpn_fpn2", "rpn_head.conv"),
    (r"rpn_cls_logits_fpn2", "rpn_head.objectness_logits"),
    (r"rpn_bbox_pred_fpn2", "rpn_head.anchor_deltas"),
    (r"fc6", "box_head.fc1"),
    (r"fc7", "box_head.fc2"),
    (r"cls_score", "box_predictor.cls_score"),
    (r"bbox_pred", "box_predictor.bbox_pred"),
    (r"_\[mask\]_fcn(\d)", "mask_head.mask_fcn{0}"),
    (r"conv5_mask", "mask_head.deconv"),
    (r"mask_fcn_logits", "mask_head.predictor"),
)
DEFAULTS: dict[str, Any] = {
    "network": {"conventions": "detectron2", "rpn": {"post_nms_top_n_train": 1000}},
}
RESNEXT_BACKBONE = {"stride_first": False}
RESNEXT_INPUT = {"std": [57.375, 57.12, 58.395]}
"""Detectron2's ResNeXt-101 comes from another program: the second convolution has the stride, pixels are scaled."""
TORCHVISION_BACKBONE = {"stride_first": False}
TORCHVISION_INPUT = {"channels": "rgb", "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}


def recognizes(file: TensorFile) -> bool:
    """Whether the file has detectron2's names or Caffe2's."""
    pattern = PREFIX + r"res2\.0\.conv1\.weight$"
    return _is_caffe2(file) or any(re.match(pattern, name) for name in file.tensors)


def convert(file: TensorFile) -> ConvertedWeights:
    """Converts a file: renames tensors, orders the classes, and completes norms that Caffe2 folded.

    Raises:
        WeightsError: a tensor has a shape that its layer cannot have.
    """
    caffe2, deep = _is_caffe2(file), has_deep_stem(file)
    converted = ConvertedWeights("detectron2", "detectron2, with Caffe2's names" if caffe2 else "detectron2")
    for key, tensor in file.tensors.items():
        reason = next((reason for pattern, reason in UNUSED if re.match(pattern, key)), None)
        name = None if reason else our_name(_caffe2_to_detectron2(key) if caffe2 else key, deep_stem=deep)
        if name is None:
            converted.unused[key] = reason or UNKNOWN_PART
        else:
            converted.add(key, name, tensor)
    require_shapes(file.path, converted)
    if caffe2:
        _complete_folded_norms(converted)
    if "box_head.score.weight" in converted.tensors:
        order_classes = _clear_background if caffe2 else _move_background_first
        order_classes(converted)
    converted.settings = _settings(converted, file.tensors, file.metadata)
    return converted


def has_deep_stem(file: TensorFile) -> bool:
    """Whether the stem has three convolutions, as in the R-52 and R-103 that DeepLab starts from."""
    return any(re.match(PREFIX + r"stem\.conv2\.weight$", name) for name in file.tensors)


def _is_caffe2(file: TensorFile) -> bool:
    return "conv1_w" in file.tensors and "res2_0_branch2a_w" in file.tensors


def _caffe2_to_detectron2(key: str) -> str | None:
    """Detectron2's name of a blob of Caffe2, or None if detectron2 has no such tensor."""
    norm = re.fullmatch(r"(.+)_bn_(\w+)", key)
    layer = norm or re.fullmatch(r"(.+)_([wb])", key)
    if layer is None:
        return None
    kind = CAFFE2_NORM_KINDS.get(layer[2], layer[2]) if norm else {"w": "weight", "b": "bias"}[layer[2]]
    for pattern, place in CAFFE2_LAYERS:
        if match := re.fullmatch(pattern, layer[1]):
            branch = BRANCHES.get(match.groups()[-1], "") if match.groups() else ""
            name = place.format(*match.groups(), branch=branch)
            return f"{name}.norm.{kind}" if norm else f"{name}.{kind}"
    return None


def our_name(key: str | None, *, deep_stem: bool = False) -> str | None:
    """Our name of a tensor of detectron2, or None if we have no such tensor; `deep_stem` has three convolutions."""
    if deep_stem and key is not None and (match := re.match(PREFIX + r"stem\.conv([123])\.(norm\.)?(\w+)$", key)):
        conv, norm = DEEP_STEM[match[1]]
        return f"backbone.model.{norm if match[2] else conv}.{match[3]}"
    for pattern, build_name in RENAMES:
        if key is not None and (match := re.match(pattern, key)):
            return build_name(match)
    return None


def _complete_folded_norms(converted: ConvertedWeights) -> None:
    """Gives mean 0 and variance 1 to norms whose statistics are folded into weight and bias, like detectron2."""
    for key, name in list(converted.renamed.items()):
        base = name.removesuffix(".weight")
        if name == base or not re.search(r"norm\d$|shortcut\.1$", base) or f"{base}.running_mean" in converted.tensors:
            continue
        weight = converted.tensors[name]
        converted.tensors[f"{base}.running_mean"] = torch.zeros_like(weight)
        converted.tensors[f"{base}.running_var"] = torch.ones_like(weight)
        converted.changed[key] = "statistics are folded into weight and bias: mean 0 and variance 1 added"


def _clear_background(converted: ConvertedWeights) -> None:
    """Sets the box and mask rows of background to 0. Caffe2 has them, in the first place, but does not use them."""
    note = "the rows of background are 0"
    for kind in ("weight", "bias"):
        _update(converted, f"box_head.delta.{kind}", note, lambda rows: prepend_background(rows[4:], 4))
        _update(converted, f"mask_head.logits.{kind}", note, lambda rows: prepend_background(rows[1:]))


def _move_background_first(converted: ConvertedWeights) -> None:
    """Moves background from the last to the first row; adds zero rows where detectron2 has none."""
    classes = len(converted.tensors["box_head.score.weight"]) - 1
    for kind in ("weight", "bias"):
        _update(
            converted,
            f"box_head.score.{kind}",
            "background moved from last to first",
            lambda rows: rows.roll(1, 0),
        )
        _update(
            converted,
            f"box_head.delta.{kind}",
            "4 rows of zeros for background",
            lambda rows: prepend_background(_for_each_class(rows, classes, 4), 4),
        )
        _update(
            converted,
            f"mask_head.logits.{kind}",
            "a row of zeros for background",
            lambda rows: prepend_background(_for_each_class(rows, classes, 1)),
        )


def _for_each_class(rows: Tensor, classes: int, count: int) -> Tensor:
    """Repeats `count` rows for every class if all classes share them."""
    return rows.repeat(classes, *[1] * (rows.dim() - 1)) if len(rows) == count and classes > 1 else rows


def _update(converted: ConvertedWeights, name: str, change: str, function: Callable[[Tensor], Tensor]) -> None:
    if keys := [key for key, our_name in converted.renamed.items() if our_name == name]:
        converted.update(name, keys[-1], change, function)


def _settings(
    converted: ConvertedWeights, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]
) -> dict[str, Any]:
    """Detectron2's defaults, with what differs in ResNeXt-101 and in ResNets of torchvision."""
    settings: dict[str, Any] = {**DEFAULTS, "input": {}, "backbone": {}}
    conv2 = converted.tensors.get("backbone.model.layer1.0.conv2.weight")
    if conv2 is not None and conv2.shape[1] != conv2.shape[0]:  # grouped
        settings["backbone"], settings["input"] = dict(RESNEXT_BACKBONE), dict(RESNEXT_INPUT)
    if metadata.get("__author__") == "torchvision":
        settings["backbone"], settings["input"] = dict(TORCHVISION_BACKBONE), dict(TORCHVISION_INPUT)
    for statistic in ("mean", "std"):
        pattern = rf"(.*\.)?pixel_{statistic}"
        given = next((tensor for key, tensor in tensors.items() if re.fullmatch(pattern, key)), None)
        if given is not None and given.numel() == 3:
            settings["input"][statistic] = given.flatten().tolist()
    return settings
