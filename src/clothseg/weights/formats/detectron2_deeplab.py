"""DeepLab and Panoptic-DeepLab of detectron2.

Source: `projects/DeepLab` and `projects/Panoptic-DeepLab` of detectron2.
"""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from clothseg.config import deep_merge
from clothseg.weights.converted import (
    BATCH_COUNTER,
    IMAGENET_CLASSIFIER,
    UNKNOWN_PART,
    ConvertedWeights,
    require_shapes,
)
from clothseg.weights.files.tensor_file import TensorFile
from clothseg.weights.formats.deeplab_classes import name_classes
from clothseg.weights.formats.detectron2 import has_deep_stem, our_name
from clothseg.weights.infer_settings import infer_settings

HEADS = {"sem_seg_head": "semantic", "ins_embed_head": "instance"}
ASPP = r"(?:decoder\.res5\.project_conv|aspp)\."
RENAMES = (
    (rf"^{ASPP}", "aspp."),
    (r"^aspp\.convs\.(\d+)\.1\.", "aspp.pooled.conv."),
    (r"^aspp\.convs\.", "aspp.branches."),
    (r"\.project_conv\.", ".project."),
    (r"\.fuse_conv\.(?=depthwise|pointwise)", ".fuse.0."),
    (r"\.fuse_conv\.", ".fuse."),
    (r"^((?:\w+_)?head)\.(?=depthwise|pointwise)", r"\1.0."),
    (r"^(center|offset)_head\.", r"\1."),
)
"""From a name in a head to ours; all that match apply. A separable convolution is the only one of its row."""
UNUSED = (
    (r".*num_batches_tracked$", BATCH_COUNTER),
    (r".*(stem\.fc|\blinear)\.", IMAGENET_CLASSIFIER),
    (r"(.*\.)?pixel_(mean|std)$", "used as settings"),
)


def recognizes(file: TensorFile) -> bool:
    """Whether the file has ASPP under detectron2's names."""
    return any(re.match(rf"sem_seg_head\.{ASPP}convs\.0\.weight$", name) for name in file.tensors)


def convert(file: TensorFile) -> ConvertedWeights:
    """Converts a file; no tensor changes, unless it has no background.

    Raises:
        WeightsError: its last layer is missing, or a tensor has a shape that its layer cannot have.
    """
    panoptic = any(name.startswith("ins_embed_head.") for name in file.tensors)
    converted = ConvertedWeights("detectron2", f"{'Panoptic-DeepLab' if panoptic else 'DeepLab'} of detectron2")
    levels = _levels(file.tensors)
    deep = has_deep_stem(file)
    for key, tensor in file.tensors.items():
        reason = next((reason for pattern, reason in UNUSED if re.match(pattern, key)), None)
        name = None if reason else _our_name(key, levels, deep=deep)
        if name is None:
            converted.unused[key] = reason or UNKNOWN_PART
        else:
            converted.add(key, name, tensor)
    require_shapes(file.path, converted)
    name_classes(file.path, converted)
    settings = _settings(converted.tensors, file.tensors, levels, panoptic=panoptic)
    converted.settings = deep_merge(settings, infer_settings(converted.tensors))
    return converted


def _levels(tensors: Mapping[str, Tensor]) -> list[int]:
    """The decoder's levels, coarse to fine, besides ASPP's."""
    found = {int(m[1]) for name in tensors if (m := re.match(r"sem_seg_head\.decoder\.res([2-4])\.", name))}
    return sorted(found, reverse=True)


def _our_name(key: str, levels: list[int], *, deep: bool) -> str | None:
    """Our name of a tensor, or None if we have no such tensor."""
    if key.startswith("backbone."):
        return our_name(key, deep_stem=deep)
    head, _, rest = key.partition(".")
    if head not in HEADS:
        return None
    for pattern, replacement in RENAMES:
        rest = re.sub(pattern, replacement, rest)
    for number, level in enumerate(levels):
        rest = rest.replace(f"decoder.res{level}.", f"decoder.{number}.")
    if ".norm." not in rest and not re.match(r"(\w+_)?predictor\.|aspp\.pooled", rest):  # the norm is beside it
        rest = re.sub(r"\.(weight|bias)$", r".conv.\1", rest)
    return f"{HEADS[head]}.{rest}"


def _settings(
    tensors: Mapping[str, Tensor], theirs: Mapping[str, Tensor], levels: list[int], *, panoptic: bool
) -> dict[str, Any]:
    """Detectron2's settings, with what the tensors show."""
    head = _widths(tensors, "semantic.head")
    aspp = len(tensors["semantic.aspp.branches.0.conv.weight"])
    network: dict[str, Any] = {
        "name": "deeplab",
        "conventions": "detectron2",
        "output_stride": 16,
        "norm": "frozen" if "semantic.aspp.project.norm.running_mean" in tensors else _other_norm(tensors),
        "aspp": {"channels": aspp, "separable": "semantic.aspp.branches.1.depthwise.conv.weight" in tensors},
        "decoder": _decoder(tensors, levels),
        "head": {"num_conv": len(head), **({"channels": head[-1]} if head else {})},
        "aux": False,
        "instances": "centers" if panoptic else "components",
        "pixel_loss": {"hard_pixels": 0.2, **({"small_object_area": 4096} if panoptic else {})},
    }
    settings: dict[str, Any] = {"input": {"resize": "none", "max_side": 2048}, "network": network}
    if panoptic:
        network["centers"] = {
            "aspp_channels": _channels(tensors, "instance.aspp.branches.0.conv.weight", aspp),
            "projected": _projected(tensors, "instance", levels),
            "channels": (_widths(tensors, "instance.decoder.0.fuse") or [aspp])[-1],
            "head_channels": (_widths(tensors, "instance.center") or [32])[-1],
        }
        settings["inference"] = {"score_threshold": 0.0, "max_detections": 200}
    for statistic in ("mean", "std"):
        given = theirs.get(f"pixel_{statistic}")
        if given is not None and given.numel() == 3:
            settings["input"][statistic] = given.flatten().tolist()
    return settings


def _decoder(tensors: Mapping[str, Tensor], levels: list[int]) -> dict[str, Any]:
    fuse = _widths(tensors, "semantic.decoder.0.fuse")
    if not levels or not fuse:
        return {"levels": [], "projected": []}
    depthwise = tensors.get("semantic.decoder.0.fuse.0.depthwise.conv.weight")
    size = depthwise if depthwise is not None else tensors["semantic.decoder.0.fuse.0.conv.weight"]
    return {
        "levels": levels,
        "projected": _projected(tensors, "semantic", levels),
        "channels": fuse[-1],
        "num_conv": len(fuse),
        "kernel_size": size.shape[-1],
        "separable": depthwise is not None,
    }


def _channels(tensors: Mapping[str, Tensor], name: str, default: int) -> int:
    """Channels of a convolution; `default` if it is missing, which loading reports."""
    return len(tensors[name]) if name in tensors else default


def _projected(tensors: Mapping[str, Tensor], head: str, levels: list[int]) -> list[int]:
    return [_channels(tensors, f"{head}.decoder.{n}.project.conv.weight", 32) for n in range(len(levels))]


def _widths(tensors: Mapping[str, Tensor], place: str) -> list[int]:
    """Channels of the convolutions in a row."""
    widths: list[int] = []
    while True:
        names = [f"{place}.{len(widths)}.{part}conv.weight" for part in ("", "pointwise.")]
        conv = next((tensors[name] for name in names if name in tensors), None)
        if conv is None:
            return widths
        widths.append(len(conv))


def _other_norm(tensors: Mapping[str, Tensor]) -> str:
    return "group" if "semantic.aspp.project.norm.weight" in tensors else "none"
