"""From any weights file to our names: whose it is, which network it is for, and what became of every key."""

from pathlib import Path
from typing import Any

import yaml

from clothseg.config import deep_merge
from clothseg.errors import WeightsError
from clothseg.runs import RunFolder
from clothseg.weights.architecture import class_count, infer_settings
from clothseg.weights.catalogue import PUBLISHED
from clothseg.weights.coco_classes import class_names
from clothseg.weights.converted import ConvertedWeights
from clothseg.weights.files.tensor_file import TensorFile, read_tensor_file
from clothseg.weights.formats.detectron2 import is_caffe2, is_detectron2, read_detectron2
from clothseg.weights.formats.matterport import is_matterport, read_matterport
from clothseg.weights.formats.native import FORMAT, parse_metadata
from clothseg.weights.formats.timm import is_timm, read_timm
from clothseg.weights.formats.torchvision import is_resnet, is_torchvision, read_resnet, read_torchvision


def read_weights(path: Path) -> ConvertedWeights:
    """Read a weights file of anybody's, or the one of a run's folder.

    Raises:
        WeightsError: it cannot be read, is of another network, or holds values that are not finite.
    """
    if path.is_dir() and RunFolder(path).weights.is_file():
        path = RunFolder(path).weights
    if not path.exists() and str(path) in PUBLISHED:
        raise WeightsError(f"{path}: no such file; `clothseg weights download {path}` fetches it and prints its path")
    raw = read_tensor_file(path)
    converted = _recognised(raw)
    if broken := [name for name, tensor in converted.tensors.items() if not bool(tensor.isfinite().all())]:
        raise WeightsError(
            f"{path}: {len(broken)} of {len(converted.tensors)} tensors hold values that are not finite, among them "
            f"{', '.join(broken[:3])}; the training that it comes from has diverged, or the file is damaged"
        )
    for key, kind in raw.cast.items():
        if key in converted.renamed:
            converted.changed[key] = "; ".join(
                filter(None, [f"from {kind} to float32", converted.changed.get(key, "")])
            )
    converted.unused |= raw.others
    if converted.origin != "clothseg":
        converted.settings = deep_merge(converted.settings, infer_settings(converted.tensors))
        count = class_count(converted.tensors)
        converted.classes = None if count is None else class_names(count)
        if count is not None and count < 1:
            raise WeightsError(f"{path}: the class layer has {count + 1} row(s); a detector has 2 at least")
    return converted


def _recognised(raw: TensorFile) -> ConvertedWeights:
    names: dict[str, Any] = raw.tensors
    if raw.facts.get("format") == FORMAT:
        return _read_own(raw)
    if is_torchvision(names):
        return read_torchvision(raw)
    if is_caffe2(names) or is_detectron2(names):
        return read_detectron2(raw)
    if is_matterport(names):
        return read_matterport(raw)
    if is_resnet(names):
        return read_resnet(raw, "timm" if raw.kind == "safetensors" else "torchvision")
    if is_timm(names):
        return read_timm(raw)
    if {"optimizer", "sampler", "rows"} <= raw.others.keys():
        raise WeightsError(
            f"{raw.path}: a checkpoint of a clothseg run, to --resume from; give the run's folder instead"
        )
    shown = ", ".join(list(names)[:4])
    raise WeightsError(
        f"{raw.path}: weights of another network ({len(names)} tensors: {shown}, ...); known are Mask R-CNN of "
        "torchvision, detectron2 and Matterport, ResNets and timm's models without the rest, and our own files"
    )


def _read_own(raw: TensorFile) -> ConvertedWeights:
    saved = parse_metadata(raw.path, raw.facts)
    converted = ConvertedWeights("clothseg", "our own file", classes=saved[1] or None)  # a backbone alone has none
    converted.settings = yaml.safe_load(saved[0].to_yaml())
    for key, tensor in raw.tensors.items():
        converted.add(key, key, tensor)
    return converted
