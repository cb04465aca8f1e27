"""The original YOLACT, with ResNet-50 or 101. Source: the program of its authors, which saves plain state dictionaries.

Such a file has neither settings nor class names: the sizes of anchors, and those of the photos that they suit, are the
defaults of the original (550 pixels) unless the user says otherwise.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from clothseg.errors import WeightsError
from clothseg.weights.converted import BATCH_COUNTER, UNKNOWN_PART, ConvertedWeights, prepend_background, require_shapes
from clothseg.weights.files.tensor_file import TensorFile
from clothseg.weights.formats.torchvision import backbone_name
from clothseg.weights.infer_settings import class_names, infer_settings

HEAD = "prediction_layers.0."
NOT_LOADED = "of an older version; the original does not load it"
DOWNSAMPLED = 2
"""Levels beyond the backbone's."""

SUPPORTED = "of the original YOLACT, files with ResNet-50 and ResNet-101 are"
NEEDED = tuple(f"{HEAD}{layer}_layer.{kind}" for layer in ("bbox", "conf", "mask") for kind in ("weight", "bias"))
OTHER_LAYERS = {
    f"{HEAD}bbox_layer": "head.delta",
    f"{HEAD}mask_layer": "head.coefficient",
    f"{HEAD}conf_layer": "head.score",
    "semantic_seg_conv": "semantic",
}
UNSUPPORTED = (
    (r"maskiou_net\.", "YOLACT++, which scores masks with one more network"),
    (r".*conv_offset_mask", "YOLACT++, whose backbone has deformable convolutions"),
    (r"backbone\._preconv\.|backbone\.layers\.\d+\.\d+\.\d+\.", "YOLACT with a Darknet backbone"),
    (r"prediction_layers\.[1-9]", "a YOLACT whose levels do not share one head"),
    (r"prediction_layers\.0\.(bbox|conf|mask)_extra\.", "a YOLACT with more layers in its head"),
    (r"prediction_layers\.0\.(block|conv|bn|gate_layer|score_layer|inst_layer)", "a YOLACT with another kind of head"),
)
"""Names of tensors that show a variant of YOLACT, and what it is."""

ANCHORS: dict[int, dict[str, Any]] = {
    1: {"ratios": [1.0]},
    3: {"ratios": [1.0, 2.0, 0.5]},
    9: {"ratios": [1.0, 2.0, 0.5], "scales": [[s * 2 ** (i / 3) for i in range(3)] for s in (24, 48, 96, 192, 384)]},
}
"""Settings by the number of anchors at a cell; the original's configurations have no others."""


def recognizes(file: TensorFile) -> bool:
    """Whether the file has the prototypes and the head of the original YOLACT."""
    return "proto_net.0.weight" in file.tensors and f"{HEAD}bbox_layer.weight" in file.tensors


def convert(file: TensorFile) -> ConvertedWeights:
    """Converts a file: renames tensors, and orders the class layer by class.

    Raises:
        WeightsError: it is a variant that is not supported, or a tensor has a shape that its layer cannot have.
    """
    _refuse_variants(file)
    converted = ConvertedWeights("yolact", "YOLACT of its authors")
    levels = sum(bool(re.fullmatch(r"fpn\.lat_layers\.\d+\.weight", key)) for key in file.tensors)
    convs = _prototype_convs(file)
    for key, tensor in file.tensors.items():
        if key.endswith("num_batches_tracked"):
            converted.unused[key] = BATCH_COUNTER
        elif _is_old(key):
            converted.unused[key] = NOT_LOADED
        elif name := _our_name(key, levels, convs):
            converted.add(key, name, tensor)
        else:
            converted.unused[key] = UNKNOWN_PART
    require_shapes(file.path, converted)
    anchors = len(file.tensors[f"{HEAD}bbox_layer.weight"]) // 4
    kinds = len(file.tensors[f"{HEAD}conf_layer.weight"]) // anchors
    for kind in ("weight", "bias"):
        _by_class(converted, f"{HEAD}conf_layer.{kind}", f"head.score.{kind}", kinds)
        _with_background(converted, kind, kinds)
    converted.settings = infer_settings(converted.tensors)
    converted.settings |= _settings(converted.tensors, anchors, len(convs))
    converted.classes = class_names(kinds - 1)
    return converted


def _refuse_variants(file: TensorFile) -> None:
    for pattern, what in UNSUPPORTED:
        if key := next((key for key in file.tensors if re.match(pattern, key)), None):
            raise WeightsError(f"{file.path}: {what} ({key}), which is not supported; {SUPPORTED}")
    if "backbone.conv1.weight" not in file.tensors or "backbone.layers.0.0.conv3.weight" not in file.tensors:
        raise WeightsError(f"{file.path}: a YOLACT whose backbone is not a ResNet, which is not supported; {SUPPORTED}")
    if not any(key.startswith("fpn.") for key in file.tensors):
        raise WeightsError(f"{file.path}: a YOLACT without an FPN, which is not supported; {SUPPORTED}")
    of_level = re.compile(r"fpn\.(?:lat|pred)_layers\.(\d+)\.weight")
    numbers = [int(match[1]) for key in file.tensors if (match := of_level.fullmatch(key))]
    levels = range(1 + min(max(numbers, default=0), len(numbers)))
    of_fpn = (f"fpn.{part}_layers.{number}.weight" for part in ("lat", "pred") for number in levels)
    if lost := [name for name in (*of_fpn, *NEEDED) if name not in file.tensors]:
        raise WeightsError(f"{file.path}: not complete: it lacks {', '.join(lost)}")
    boxes, logits = (sum(file.tensors[f"{HEAD}{layer}_layer.weight"].shape[:1]) for layer in ("bbox", "conf"))
    if boxes % 4 or not boxes or logits % (boxes // 4) or logits // (boxes // 4) < 1:
        raise WeightsError(f"{file.path}: the layers of its head do not fit each other: {boxes} and {logits} rows")


def _is_old(key: str) -> bool:
    """Whether the original drops a key when it loads a file."""
    if match := re.match(r"fpn\.downsample_layers\.(\d+)\.", key):
        return int(match[1]) >= DOWNSAMPLED
    return key.startswith("backbone.layer") and not key.startswith("backbone.layers")


def _prototype_convs(file: TensorFile) -> list[int]:
    """Numbers of the convolutions that make prototypes; between the last three is one upsampling.

    Raises:
        WeightsError: they are not in the order that the original has.
    """
    numbers = sorted(int(m[1]) for key in file.tensors if (m := re.fullmatch(r"proto_net\.(\d+)\.weight", key)))
    first = len(numbers) - 2
    if numbers != [*range(0, 2 * first, 2), 2 * first + 2, 2 * first + 4]:
        raise WeightsError(f"{file.path}: a YOLACT with other layers for its prototypes ({numbers}); {SUPPORTED}")
    return numbers


def _our_name(key: str, levels: int, convs: list[int]) -> str | None:
    """Our name of a tensor of the original, or None if we have no such tensor."""
    part, _, kind = key.rpartition(".")
    if part.startswith("backbone."):
        place = re.sub(r"^layers\.(\d)\.", lambda m: f"layer{int(m[1]) + 1}.", part.removeprefix("backbone."))
        return backbone_name(f"{place}.{kind}")
    if match := re.fullmatch(r"fpn\.(lat|pred)_layers\.(\d+)", part):  # there the coarsest level is first
        name = f"fpn.{'lateral' if match[1] == 'lat' else 'smooth'}.{levels - 1 - int(match[2])}.0"
    elif match := re.fullmatch(r"fpn\.downsample_layers\.(\d+)", part):
        name = f"fpn.extra.{match[1]}.0"
    elif match := re.fullmatch(r"proto_net\.(\d+)", part):
        names = [*(f"convs.{number}.conv" for number in range(len(convs) - 2)), "fine.conv", "last"]
        name = f"prototypes.{names[convs.index(int(match[1]))]}"
    elif match := re.fullmatch(rf"{re.escape(HEAD)}upfeature\.(\d+)", part):  # every second one is a ReLU
        name = f"head.convs.{int(match[1]) // 2}.conv"
    else:
        name = OTHER_LAYERS.get(part, "")
    return f"{name}.{kind}" if name else None


def _by_class(converted: ConvertedWeights, key: str, name: str, kinds: int) -> None:
    """Orders the rows of the class layer by class, then by anchor; in the file it is the other way round."""
    change = "rows ordered by class, then by anchor"
    converted.update(name, key, change, lambda rows: torch.cat([rows[c::kinds] for c in range(kinds)]))


def _with_background(converted: ConvertedWeights, kind: str, kinds: int) -> None:
    """Adds a row for background to the semantic layer, which only training uses; all zeros if the file lacks it."""
    name = f"semantic.{kind}"
    if name in converted.tensors:
        converted.update(name, f"semantic_seg_conv.{kind}", "a row of zeros for background", prepend_background)
    else:
        channels = converted.tensors["fpn.smooth.0.0.weight"].shape[0]
        converted.tensors[name] = torch.zeros((kinds, channels, 1, 1) if kind == "weight" else kinds)


def _settings(mine: Mapping[str, Tensor], anchors: int, convs: int) -> dict[str, Any]:
    """The original's settings, with what its tensors, by our names, show."""
    lateral = mine["fpn.lateral.0.0.weight"]
    extra = sum(name.startswith("fpn.extra.") and name.endswith("weight") for name in mine)
    laterals = sum(name.startswith("fpn.lateral.") and name.endswith("weight") for name in mine)
    head = mine["head.delta.weight"]
    network = {
        "name": "yolact",
        "fpn": {"channels": len(lateral), "levels": list(range(6 - laterals, 6 + extra))},
        "anchors": ANCHORS.get(anchors, {}),
        "prototypes": {
            "count": len(mine["prototypes.last.weight"]),
            "channels": len(mine["prototypes.fine.conv.weight"]),
            "num_conv": convs - 2,
        },
        "head": {
            "channels": head.shape[1],
            "num_conv": sum(bool(re.fullmatch(r"head\.convs\.\d+\.conv\.weight", name)) for name in mine),
        },
        "whole_boxes": True,
    }
    return {
        "network": network,
        "input": {"resize": "stretch", "height": 550, "width": 550},
        "inference": {"score_threshold": 0.0},
    }
