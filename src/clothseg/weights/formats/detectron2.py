"""Detectron2's Mask R-CNN and ResNets, in its own names and in Caffe2's.

Source: detectron2's model zoo files; the Caffe2 names are those of the older Detectron.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from clothseg.weights.converted import ConvertedWeights, background_first
from clothseg.weights.files.tensor_file import TensorFile
from clothseg.weights.formats.torchvision import TRACKED

PREFIX = r"(?:^|^.*\.)"
"""Names are matched from any dot on: converted files leave out what stands before."""

SMALL = r"(weight|bias)$"
NORM = r"norm\.(weight|bias|running_mean|running_var|num_batches_tracked)$"
Made = Callable[[re.Match[str]], str]


def _layer(match: re.Match[str]) -> str:
    stage, block, part, normed, kind = match.groups()
    place = f"backbone.model.layer{int(stage) - 1}.{block}."
    if part == "shortcut":
        return f"{place}shortcut.{1 if normed else 0}.{kind}"
    return f"{place}{'norm' if normed else 'conv'}{part[-1]}.{kind}"


def _level(match: re.Match[str]) -> str:
    which, stage, normed, kind = match.groups()
    part = {"lateral": "lateral", "output": "smooth"}[which]
    return f"fpn.{part}.{int(stage) - 2}.{1 if normed else 0}.{kind}"


def _numbered(place: str) -> Made:
    def made(match: re.Match[str]) -> str:
        number, normed, kind = match.groups()
        return f"{place}.{int(number) - 1}.{'norm' if normed else 'conv'}.{kind}"

    return made


def _plain(place: str) -> Made:
    return lambda match: f"{place}.{match.groups()[-1]}"


KIND = r"(norm\.)?(weight|bias|running_mean|running_var|num_batches_tracked)$"
RENAMES: tuple[tuple[str, Made], ...] = (
    (PREFIX + r"stem\.conv1\." + SMALL, _plain("backbone.model.conv1")),
    (PREFIX + r"stem\.conv1\." + NORM, _plain("backbone.model.norm1")),
    (PREFIX + r"res([2-5])\.(\d+)\.(shortcut|conv[123])\." + KIND, _layer),
    (PREFIX + r"fpn_(lateral|output)([2-5])\." + KIND, _level),
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
NOT_NEEDED = (
    (r".*\bcell_anchors\b", "anchors are made anew"),
    (r".*num_batches_tracked$", TRACKED),
    (r".*_momentum$", "the optimizer's"),
    (r"conv1_b$", "a bias that the norm after it swallows"),
    (r"(stem\.)?fc(1000)?[._]", "ImageNet's classifier"),
    (r".*\blinear\.", "ImageNet's classifier"),
    (r"(.*\.)?pixel_(mean|std)$", "taken as settings"),
)
BRANCHES = {"branch1": "shortcut", "branch2a": "conv1", "branch2b": "conv2", "branch2c": "conv3"}
STATISTICS = {
    "s": "weight",
    "b": "bias",
    "gamma": "weight",
    "beta": "bias",
    "running_mean": "running_mean",
    "running_var": "running_var",
    "rm": "running_mean",
}
CAFFE2_PLACES = (
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
GROUPED = {"stride_first": False}
GROUPED_INPUT = {"std": [57.375, 57.12, 58.395]}
"""Detectron2's ResNeXt-101 was trained by others: it strides in the second convolution, on scaled pixels."""
TORCHVISION_INPUT = {"channels": "rgb", "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}


def is_detectron2(names: Mapping[str, object]) -> bool:
    """Whether these are detectron2's own names."""
    return any(re.match(PREFIX + r"res2\.0\.conv1\.weight$", name) for name in names)


def is_caffe2(names: Mapping[str, object]) -> bool:
    """Whether these are Caffe2's names."""
    return "conv1_w" in names and "res2_0_branch2a_w" in names


def caffe2_name(old: str) -> str | None:
    """Detectron2's name of Caffe2's blob `old`, or None for one that it does not have."""
    norm = re.fullmatch(r"(.+)_bn_(\w+)", old)
    layer = norm or re.fullmatch(r"(.+)_([wb])", old)
    if layer is None:
        return None
    kind = STATISTICS.get(layer[2], layer[2]) if norm else {"w": "weight", "b": "bias"}[layer[2]]
    for pattern, place in CAFFE2_PLACES:
        if match := re.fullmatch(pattern, layer[1]):
            name = place.format(*match.groups(), branch=BRANCHES.get(match.groups()[-1], "") if match.groups() else "")
            return f"{name}.norm.{kind}" if norm else f"{name}.{kind}"
    return None


def read_detectron2(raw: TensorFile) -> ConvertedWeights:
    """A file in either of detectron2's namings."""
    caffe2 = is_caffe2(raw.tensors)
    converted = ConvertedWeights("detectron2", "detectron2, in Caffe2's names" if caffe2 else "detectron2")
    for key, tensor in raw.tensors.items():
        reason = next((why for pattern, why in NOT_NEEDED if re.match(pattern, key)), None)
        name = None if reason else _our_name(caffe2_name(key) if caffe2 else key)
        if name is None:
            converted.unused[key] = reason or "no such part in this network"
        else:
            converted.add(key, name, tensor)
    if caffe2:
        _fill_folded_norms(converted)
    _order_classes(converted, background_is_first=caffe2)
    converted.settings = _settings(converted, raw)
    return converted


def _our_name(theirs: str | None) -> str | None:
    for pattern, made in RENAMES:
        if theirs is not None and (match := re.match(pattern, theirs)):
            return made(match)
    return None


def _fill_folded_norms(converted: ConvertedWeights) -> None:
    """Norms whose statistics went into weight and bias get mean 0 and variance 1, as detectron2 fills them."""
    for key, name in list(converted.renamed.items()):
        base = name.removesuffix(".weight")
        if name == base or not re.search(r"norm\d$|shortcut\.1$", base) or f"{base}.running_mean" in converted.tensors:
            continue
        weight = converted.tensors[name]
        converted.tensors[f"{base}.running_mean"] = torch.zeros_like(weight)
        converted.tensors[f"{base}.running_var"] = torch.ones_like(weight)
        converted.changed[key] = "statistics are folded in: mean 0 and variance 1 beside it"


def _order_classes(converted: ConvertedWeights, *, background_is_first: bool) -> None:
    """Bring the rows of the last layers to ours: background first, in all of them."""
    keys = {name: key for key, name in converted.renamed.items()}
    scores = converted.tensors.get("box_head.score.weight")
    if scores is None:
        return
    classes = len(scores) - 1
    for kind in ("weight", "bias"):
        if background_is_first:
            _change(converted, keys, f"box_head.delta.{kind}", lambda t: background_first(t[4:], 4), "background: 0")
            _change(converted, keys, f"mask_head.logits.{kind}", lambda t: background_first(t[1:]), "background: 0")
            continue
        _change(
            converted, keys, f"box_head.score.{kind}", lambda t: t.roll(1, 0), "background moved from last to first"
        )
        _change(
            converted, keys, f"box_head.delta.{kind}", lambda t: background_first(_for_all(t, classes, 4), 4),
            "4 rows of zeros for background",
        )  # fmt: skip
        _change(
            converted, keys, f"mask_head.logits.{kind}", lambda t: background_first(_for_all(t, classes, 1)),
            "a row of zeros for background",
        )  # fmt: skip


def _for_all(rows: Tensor, classes: int, each: int) -> Tensor:
    """Rows for every class, where all classes share one set."""
    return rows.repeat(classes, *[1] * (rows.dim() - 1)) if len(rows) == each and classes > 1 else rows


def _change(
    converted: ConvertedWeights, keys: dict[str, str], name: str, work: Callable[[Tensor], Tensor], words: str
) -> None:
    if name in converted.tensors:
        converted.fold(name, keys[name], words, work)


def _settings(converted: ConvertedWeights, raw: TensorFile) -> dict[str, Any]:
    settings: dict[str, Any] = {**DEFAULTS, "input": {}, "backbone": {}}
    middle = converted.tensors.get("backbone.model.layer1.0.conv2.weight")
    if middle is not None and middle.shape[1] != middle.shape[0]:
        settings["backbone"], settings["input"] = dict(GROUPED), dict(GROUPED_INPUT)
    if raw.facts.get("__author__") == "torchvision":
        settings["backbone"], settings["input"] = dict(GROUPED), dict(TORCHVISION_INPUT)
    for word in ("mean", "std"):
        given = next((t for key, t in raw.tensors.items() if re.fullmatch(rf"(.*\.)?pixel_{word}", key)), None)
        if given is not None and given.numel() == 3:
            settings["input"][word] = given.flatten().tolist()
    return settings
