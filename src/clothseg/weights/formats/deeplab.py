"""DeepLabv3 of torchvision, and DeepLabv3 and v3+ of DeepLabV3Plus-Pytorch (VainF).

Sources: `torchvision.models.segmentation.deeplabv3`; the checkpoints of github.com/VainF/DeepLabV3Plus-Pytorch.
"""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from clothseg.config import deep_merge
from clothseg.errors import WeightsError
from clothseg.networks.backbones.mobilenet import MOBILENET, STAGE_ENDS
from clothseg.weights.converted import (
    BATCH_COUNTER,
    IMAGENET_CLASSIFIER,
    UNKNOWN_PART,
    ConvertedWeights,
    require_shapes,
)
from clothseg.weights.files.tensor_file import TensorFile
from clothseg.weights.formats.deeplab_classes import name_classes
from clothseg.weights.formats.torchvision import backbone_name
from clothseg.weights.infer_settings import infer_settings

ASPP_PREFIXES = {"torchvision": "classifier.0.", "v3": "classifier.classifier.0.", "v3plus": "classifier.aspp."}
"""Where ASPP is in torchvision's files, and in VainF's of both versions."""

SETTINGS: dict[str, dict[str, Any]] = {
    "torchvision": {
        "input": {"resize": "keep_ratio", "min_side": 520, "max_side": 2080},
        "network": {"conventions": "torchvision", "output_stride": 8, "aspp": {"dropout": 0.5}},
    },
    "vainf": {
        "input": {"resize": "none", "max_side": 2048},
        "network": {"conventions": "vainf", "output_stride": 16, "aspp": {"dropout": 0.1}},
    },
}
"""What each origin does where its files do not say it."""

MOBILENET_BLOCK = re.compile(r"^backbone\.(?:low|high)_level_features\.(\d+)\.(.*)$")
MOBILENET_LAYERS = {
    True: {"0.0": 0, "0.1": 1, "1.0": 3, "1.1": 4, "2": 6, "3": 7},
    False: {"0.0": 0, "0.1": 1, "1": 3, "2": 4},
}
"""The place of a layer in an inverted residual of ours, with and without an expansion."""


def recognizes(file: TensorFile) -> bool:
    """Whether the file has the ASPP of one of the three."""
    return _kind(file.tensors) is not None


def convert(file: TensorFile) -> ConvertedWeights:
    """Converts a file of DeepLab; no tensor changes, unless it has no background.

    Raises:
        WeightsError: its backbone is not supported, its last layer is missing, or a tensor has a shape that its layer
            cannot have.
    """
    kind = _kind(file.tensors) or ""
    origin = "torchvision" if kind == "torchvision" else "vainf"
    version = "DeepLabv3+" if kind == "v3plus" else "DeepLabv3"
    converted = ConvertedWeights(origin, f"{version} of {'torchvision' if origin == 'torchvision' else 'VainF'}")
    mobile = "backbone.low_level_features.0.0.weight" in file.tensors
    if not mobile and "backbone.layer4.0.conv2.weight" not in file.tensors:
        first = next((name for name in file.tensors if name.startswith("backbone.")), "none")
        raise WeightsError(
            f"{file.path}: {converted.layout} with a backbone that is not supported (its first tensor is {first}); "
            "supported are ResNets, and VainF's MobileNetV2"
        )
    pooled = _last_branch(file.tensors, ASPP_PREFIXES[kind])
    for key, tensor in file.tensors.items():
        if key.endswith("num_batches_tracked"):
            converted.unused[key] = BATCH_COUNTER
        elif re.match(r"backbone\.(fc|classifier)\.", key):
            converted.unused[key] = IMAGENET_CLASSIFIER
        elif name := _our_name(key, kind, pooled):
            converted.add(key, name, tensor)
        else:
            converted.unused[key] = UNKNOWN_PART
    _move_separable_norms(converted)
    require_shapes(file.path, converted)
    if "semantic.aspp.branches.0.conv.weight" not in converted.tensors:  # the last branch is the pooled one
        raise WeightsError(f"{file.path}: {converted.layout} with a single branch of ASPP; the file is not complete")
    name_classes(file.path, converted)
    converted.settings = deep_merge(
        _settings(converted.tensors, origin, has_decoder=kind == "v3plus"), infer_settings(converted.tensors)
    )
    if origin == "vainf" and (stride := re.search(r"_os(8|16)\b", file.path.stem)):
        converted.settings["network"]["output_stride"] = int(stride[1])  # VainF's program names its files so
    if mobile:
        converted.settings["backbone"] = {"name": MOBILENET, "norm": "frozen"}
    return converted


def _move_separable_norms(converted: ConvertedWeights) -> None:
    """The norm of a separable convolution is that of its pointwise part."""
    for key, name in list(converted.renamed.items()):
        place, found, kind = name.partition(".norm.")
        if found and f"{place}.depthwise.weight" in converted.tensors:
            converted.add(key, f"{place}.pointwise.norm.{kind}", converted.tensors.pop(name))


def _kind(tensors: Mapping[str, Tensor]) -> str | None:
    for kind, prefix in ASPP_PREFIXES.items():
        if f"{prefix}convs.0.0.weight" in tensors:
            return kind
    return None


def _last_branch(tensors: Mapping[str, Tensor], prefix: str) -> int:
    """The number of ASPP's pooled branch, which is the last."""
    numbers = [int(match[1]) for name in tensors if (match := re.match(re.escape(prefix) + r"convs\.(\d+)\.", name))]
    return max(numbers)


def _our_name(key: str, kind: str, pooled: int) -> str | None:
    """Our name of a tensor, or None if we have no such tensor."""
    if match := MOBILENET_BLOCK.match(key):
        return _mobilenet_name(int(match[1]), match[2])
    if key.startswith("backbone."):
        return backbone_name(key.removeprefix("backbone."))
    prefix = ASPP_PREFIXES[kind]
    if key.startswith(prefix):
        return _aspp_name(key.removeprefix(prefix), pooled)
    head = "semantic.decoder.0.fuse.0" if kind == "v3plus" else "semantic.head.0"
    base = prefix.removesuffix("0.") if kind != "v3plus" else "classifier.classifier."
    conv, norm, last = (0, 1, 3) if kind == "v3plus" else (1, 2, 4)
    for pattern, place in (
        (rf"{base}{conv}\.body\.0\.(\w+)$", rf"{head}.depthwise.\1"),
        (rf"{base}{conv}\.body\.1\.(\w+)$", rf"{head}.pointwise.conv.\1"),
        (rf"{base}{conv}\.(\w+)$", rf"{head}.conv.\1"),
        (rf"{base}{norm}\.(\w+)$", rf"{head}.norm.\1"),
        (rf"{base}{last}\.(\w+)$", r"semantic.predictor.\1"),
        (r"classifier\.project\.0\.(\w+)$", r"semantic.decoder.0.project.conv.\1"),
        (r"classifier\.project\.1\.(\w+)$", r"semantic.decoder.0.project.norm.\1"),
        (r"aux_classifier\.0\.(\w+)$", r"aux.conv.conv.\1"),
        (r"aux_classifier\.1\.(\w+)$", r"aux.conv.norm.\1"),
        (r"aux_classifier\.4\.(\w+)$", r"aux.predictor.\1"),
    ):
        if match := re.match(pattern, key):
            return match.expand(place)
    return None


def _aspp_name(rest: str, pooled: int) -> str | None:
    if match := re.fullmatch(r"project\.([01])\.(\w+)", rest):
        return f"semantic.aspp.project.{'norm' if match[1] == '1' else 'conv'}.{match[2]}"
    if match := re.fullmatch(r"convs\.(\d+)\.(\d)\.(\w+)", rest):
        number, place = int(match[1]), int(match[2])
        if number == pooled:
            return f"semantic.aspp.pooled.{'norm' if place == 2 else 'conv'}.{match[3]}"
        return f"semantic.aspp.branches.{number}.{'norm' if place == 1 else 'conv'}.{match[3]}"
    if match := re.fullmatch(r"convs\.(\d+)\.0\.body\.([01])\.(\w+)", rest):
        part = "depthwise" if match[2] == "0" else "pointwise.conv"
        return f"semantic.aspp.branches.{match[1]}.{part}.{match[3]}"
    return None


def _mobilenet_name(block: int, rest: str) -> str | None:
    """Our name of a tensor in one of MobileNetV2's blocks 0 to 17."""
    stage = next((number for number, end in enumerate(STAGE_ENDS) if block < end), None)
    if stage is None:
        return None
    place = f"backbone.model.stage{stage + 1}.{block - (0, *STAGE_ENDS)[stage]}"
    if block == 0:
        return f"{place}.{rest}"
    match = re.fullmatch(r"conv\.(\d(?:\.\d)?)\.(\w+)", rest)
    layer = MOBILENET_LAYERS[block > 1].get(match[1]) if match else None
    return f"{place}.layers.{layer}.{match[2]}" if match and layer is not None else None


def _settings(tensors: Mapping[str, Tensor], origin: str, *, has_decoder: bool) -> dict[str, Any]:
    """The origin's settings, with what the tensors show; a missing tensor has the usual width, and is reported."""
    origins = SETTINGS[origin]
    fuse = "semantic.decoder.0.fuse.0"
    width = tensors.get(f"{fuse}.conv.weight", tensors.get(f"{fuse}.pointwise.conv.weight"))
    head = tensors.get("semantic.head.0.conv.weight", tensors.get("semantic.head.0.pointwise.conv.weight"))
    project = tensors.get("semantic.decoder.0.project.conv.weight")
    decoder: dict[str, Any] = {"levels": [], "projected": []}
    if has_decoder:
        channels = {} if width is None else {"channels": len(width)}
        decoder = {"levels": [2], "projected": [48 if project is None else len(project)], **channels}
    decoder["separable"] = f"{fuse}.depthwise.weight" in tensors or "semantic.head.0.depthwise.weight" in tensors
    separable = "semantic.aspp.branches.1.depthwise.weight" in tensors
    network = {
        "name": "deeplab",
        **origins["network"],
        "norm": "frozen",
        "aspp": {"channels": len(tensors["semantic.aspp.branches.0.conv.weight"]), "separable": separable,
                 **origins["network"]["aspp"]},
        "decoder": decoder,
        "head": {"num_conv": int(not has_decoder), **({"channels": len(head)} if head is not None else {})},
        "aux": "aux.conv.conv.weight" in tensors,
        "instances": "components",
    }  # fmt: skip
    return {"input": dict(origins["input"]), "network": network}
