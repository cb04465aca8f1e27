"""The reference numbers of DeepLab: files, photos, tolerances, and our modules by the names of their stages."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from clothseg.config import Config
from clothseg.networks.deeplab.instances import FoundCenters, Groups
from clothseg.networks.deeplab.network import DeepLabNetwork
from clothseg.photos import read_photo
from clothseg.weights import load_model

Arrays = dict[str, NDArray[Any]]

RESNET = {f"layer{n}": f"backbone.model.layer{n}" for n in range(1, 5)}
ASPP = {f"aspp{n}": f"semantic.aspp.branches.{n}" for n in range(4)} | {
    "aspp4": "semantic.aspp.pooled",
    "aspp": "semantic.aspp.project",
    "logits_low": "semantic.predictor",
}
V3PLUS = ASPP | {"project": "semantic.decoder.0.project", "decoder": "semantic.decoder.0.fuse"}
DETECTRON2 = {"stem": "backbone.model.maxpool"} | {f"res{n + 1}": f"backbone.model.layer{n}" for n in range(1, 5)}
PANOPTIC = DETECTRON2 | {
    "sem_pool": "semantic.aspp.pooled",
    "sem_aspp": "semantic.aspp.project",
    "sem_decoder_res3": "semantic.decoder.0.fuse",
    "sem_decoder_res2": "semantic.decoder.1.fuse",
    "sem_head": "semantic.head",
    "logits_low": "semantic.predictor",
    "ins_pool": "instance.aspp.pooled",
    "ins_aspp": "instance.aspp.project",
    "ins_decoder_res3": "instance.decoder.0.fuse",
    "ins_decoder_res2": "instance.decoder.1.fuse",
    "center_head": "instance.center",
    "offset_head": "instance.offset",
    "center_low": "instance.center_predictor",
    "offset_low": "instance.offset_predictor",
}
STAGES: dict[str, dict[str, str]] = {
    "deeplabv3plus_resnet50": RESNET | V3PLUS,
    "deeplabv3_resnet50": RESNET | ASPP | {"decoder": "semantic.head"},
    "deeplabv3plus_mobilenet": V3PLUS | {
        "block0": "backbone.model.stage1.0",
        "block1": "backbone.model.stage1.1",
        "low_level": "backbone.model.stage2",
        "block10": "backbone.model.stage4.3",
        "out": "backbone.model.stage5",
    },
    "detectron2_deeplabv3plus_r52": DETECTRON2 | {
        "sem_pool": "semantic.aspp.pooled",
        "sem_aspp": "semantic.aspp.project",
        "sem_decoder_res2": "semantic.decoder.0.fuse",
        "logits_low": "semantic.predictor",
    },
    "panoptic_deeplab_r52": PANOPTIC,
    "panoptic_deeplab_r52_separable": PANOPTIC,
}  # fmt: skip
"""For each model the module whose output each stage is."""


@cache
def read_json(path: Path) -> Any:
    """A JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def read_arrays(path: Path) -> Arrays:
    """All arrays of an `.npz` file."""
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def photo_tensor(folder: Path, name: str) -> Tensor:
    """A photo of the reference, `[3, H, W]` uint8."""
    return torch.from_numpy(read_photo(folder / "photos" / f"{name}.png")).permute(2, 0, 1)


def load_network(path: Path, *overrides: str) -> DeepLabNetwork:
    """The network of a weights file, in inference mode."""
    network = load_model(path, overrides=overrides).network.eval()
    assert isinstance(network, DeepLabNetwork)
    return network


def tiny_deeplab(*overrides: str, classes: int = 2) -> DeepLabNetwork:
    """A small DeepLab with random weights."""
    tree = {
        "input": {"resize": "fit", "height": 64, "width": 64},
        "backbone": {"name": "resnet18", "norm": "group"},
        "network": {
            "name": "deeplab",
            "aspp": {"channels": 16},
            "decoder": {"projected": [8], "channels": 16},
            "centers": {"aspp_channels": 16, "projected": [8], "channels": 16, "head_channels": 8},
        },
    }
    config = Config.from_tree(tree, overrides, "the test")
    return DeepLabNetwork(config, classes)


@contextmanager
def recorded(network: nn.Module, stages: dict[str, str]) -> Iterator[dict[str, Tensor]]:
    """Collects the outputs of the modules of `stages` while the network runs."""
    outputs: dict[str, Tensor] = {}

    def keep(stage: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(_: nn.Module, __: Any, output: Tensor) -> None:
            outputs[stage] = output.detach().clone()

        return hook

    handles = [network.get_submodule(name).register_forward_hook(keep(stage)) for stage, name in stages.items()]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


@dataclass(frozen=True)
class PanopticRules:
    """What turns groups into the panoptic ids of the reference."""

    things: Tensor
    divisor: int = 1000
    stuff_area: int = 2048


def panoptic_ids(groups: Groups, labels: Tensor, rules: PanopticRules) -> Tensor:
    """Panoptic ids `[h, w]` of groups, and of the stuff in `labels`: a plain restatement of the guide's rules."""
    ids = torch.full_like(labels, -1)
    counts: dict[int, int] = {}
    for row, (label, area) in enumerate(zip(groups.classes.tolist(), groups.areas.tolist(), strict=True), start=1):
        if area:
            counts[label] = counts.get(label, 0) + 1
            ids[groups.ids == row] = label * rules.divisor + counts[label]
    for label in range(len(rules.things)):
        of_class = labels == label
        if not rules.things[label] and int(of_class.sum()) >= rules.stuff_area:
            ids[of_class & (groups.ids == 0)] = label * rules.divisor
    return ids


def by_panoptic_id(groups: Groups) -> Groups:
    """The groups that have pixels, ordered by class, and within a class as they are."""
    rows = torch.where(groups.areas > 0)[0]
    rows = rows[groups.classes[rows].argsort(stable=True)]
    return Groups(groups.ids, groups.classes[rows], groups.scores[rows], groups.areas[rows], groups.boxes[rows])


def valid_points(centers: FoundCenters) -> Tensor:
    """The points `[N, 2]` that are valid."""
    return centers.points[centers.valid]
