"""What a training is about to do, said before its first step, and how long it will take, said after a few."""

import time
from typing import Any

import torch
from torch import Tensor, nn

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.networks import MaskRCNNNetwork
from clothseg.networks.layers.anchor_coverage import POOR, Reach, measure_reach
from clothseg.processes import processes_here
from clothseg.training.memory.device import free_memory, in_words, resident
from clothseg.training.memory.forecast import Forecast, forecast, photo_needs


def foretell(
    config: Config, train: CocoLikeDataset, val: CocoLikeDataset, device: torch.device, network: nn.Module | None = None
) -> Forecast:
    """The forecast for a data set in this process.

    Args:
        config: of network and training.
        train, val: prepared.
        device: that is trained on.
        network: the one that is in memory already, if it is.

    Raises:
        PhotoError, DataError: the largest photo cannot be read.
    """
    there = sum(tensor.nbytes for tensor in network.state_dict().values()) if network else 0
    libraries = max(0, (resident() or 0) - there)
    return forecast(config, len(train.classes), photo_needs(train, config), photo_needs(val, config), device, libraries)


def announce(
    network: MaskRCNNNetwork,
    train: CocoLikeDataset,
    val: CocoLikeDataset,
    config: Config,
    plan: str,
    loaded: str,
    device: torch.device,
) -> tuple[list[str], dict[str, Any]]:
    """What is about to happen.

    Args:
        network: as it is trained first.
        train, val: prepared data sets.
        config: of network and training.
        plan: epochs, steps and stages, in words.
        loaded: what the weights are, in words.
        device: that is trained on.

    Returns:
        a line for each subject, and the facts that the run keeps: `anchors` and `memory`.
    """
    reach = measure_reach(config, [((e.height, e.width), _boxes(e.annotations)) for e in train.images])
    memory = foretell(config, train, val, device, network)
    objects = sum(len(entry.annotations) for entry in train.images)
    lines = {
        "network": f"{config.backbone.name}, {learning_in_words(network, config)}",
        "weights": loaded,
        "photos": f"{len(train)} to learn from with {objects} objects, {len(val)} to validate; "
        f"{', '.join(train.classes)}{without_objects(train)}",
        "steps": plan,
        "anchors": reach_in_words(reach),
        "memory": memory_in_words(memory, device, resident() or 0, processes_here(config.train.devices)),
    }
    facts = {"anchors": reach_as_facts(reach), "memory": {"forecast": vars(memory) | {"total": memory.total}}}
    return [f"{name:<9}{words}" for name, words in lines.items()], facts


def without_objects(train: CocoLikeDataset) -> str:
    """A warning of classes that have nothing to be learned from; empty where all have."""
    there = {
        train.map_source_class_id(a["category_id"])
        for entry in train.images
        for a in entry.annotations
        if not a.get("iscrowd")
    }
    lost = [name for number, name in enumerate(train.classes, start=1) if number not in there]
    return f"; NOT one object to learn from: {', '.join(lost)}" if lost else ""


def learning_in_words(network: MaskRCNNNetwork, config: Config) -> str:
    """How much of the network learns, in each stage of the training."""
    total = sum(p.numel() for p in network.parameters())
    begun = network.backbone.frozen
    parts = []
    for frozen, until in [(stage.layers, stage.until) for stage in config.train.stages] or [(begun, 0)]:
        network.backbone.freeze(frozen)
        learning = sum(p.numel() for p in network.parameters() if p.requires_grad)
        stages = f"the first {frozen} of 5" if frozen else "none of the 5"
        when = f" until epoch {until}" if len(config.train.stages) > 1 else ""
        parts.append(f"{learning / 1e6:.1f} of {total / 1e6:.1f} million weights learn{when}, {stages} stages frozen")
    network.backbone.freeze(begun)
    return "; ".join(parts)


def reach_in_words(reach: Reach) -> str:
    """How well the anchors fit, and what would fit better."""
    if not reach.boxes:
        return "no boxes to reach: every photo is without objects"
    words = f"{reach.shares[0.5]:.0%} of the {reach.boxes} boxes are reached at IoU 0.5, {reach.shares[0.7]:.0%} at 0.7"
    if reach.better is None or reach.better_shares is None:
        return words if reach.shares[0.5] >= POOR else f"{words}; other scales do not help, other ratios may"
    scales = [list(level) for level in reach.better]
    return (
        f"{words}; better: anchors.scales={scales} with {reach.better_shares[0.5]:.0%} and "
        f"{reach.better_shares[0.7]:.0%}"
    )


def reach_as_facts(reach: Reach) -> dict[str, Any]:
    """The same for `run.json`."""
    facts: dict[str, Any] = {
        "boxes": reach.boxes,
        "reach": {str(iou): round(share, 4) for iou, share in reach.shares.items()},
        "scales": [list(level) for level in reach.scales],
        "suggested_scales": None,
        "suggested_reach": None,
    }
    if reach.better is not None and reach.better_shares is not None:
        facts["suggested_scales"] = [list(level) for level in reach.better]
        facts["suggested_reach"] = {str(iou): round(share, 4) for iou, share in reach.better_shares.items()}
    return facts


def memory_in_words(memory: Forecast, device: torch.device, there: int, processes: int = 1) -> str:
    """The forecast, whether it fits, and what most of it is for; `there` is what the process has on the CPU already.

    On a CPU all `processes` that learn together live in one memory.
    """
    shared = processes if device.type == "cpu" else 1
    total = memory.total * shared
    parts = sorted(((size, name) for name, size in vars(memory).items() if size), reverse=True)
    mostly = ", ".join(f"{name} {in_words(size)}" for size, name in parts[:4])
    mostly = f"{in_words(memory.total)} for each of {shared} processes: {mostly}" if shared > 1 else mostly
    free = free_memory(device)
    if free is None:
        return f"about {in_words(total)} at the fullest moment ({mostly})"
    room = free + there if device.type == "cpu" else free + torch.cuda.memory_reserved(device)
    fits = "" if total <= room else ": it does NOT fit; --memory chooses settings that do"
    return f"about {in_words(total)} of {in_words(room)} at the fullest moment ({mostly}){fits}"


class Pace:
    """How long a training will take, by its first steps.

    Args:
        first: the step that it begins with.
        steps: where it ends.
        per_epoch: steps of an epoch.
        photos: of a step.
        checked: photos that each epoch ends with.
    """

    MEASURED = 5
    """Steps that are timed, after one to warm up."""
    WORTH = 10
    """Seconds: less is not worth a word."""

    def __init__(self, first: int, steps: int, per_epoch: int, photos: int, checked: int) -> None:
        self.first, self.steps, self.per_epoch, self.photos, self.checked = first, steps, per_epoch, photos, checked
        self.begun: float | None = None

    def after(self, step: int) -> str:
        """What there is to say after a step: once the time that is left, else nothing."""
        if step == self.first + 1:
            self.begun = time.monotonic()
        if self.begun is None or step != self.first + 1 + self.MEASURED:
            return ""
        each = (time.monotonic() - self.begun) / self.MEASURED
        checks = self.checked * each / self.photos / 3  # a look forward takes about a third of a step
        left = (self.steps - step) * each + (self.steps - step) / self.per_epoch * checks
        self.begun = None
        if left < self.WORTH:
            return ""
        return (
            f"{'time':<9}about {_duration(left)} to go: {each:.2g} s a step, measured on steps {self.first + 2} to "
            f"{step}; a validation photo taken as a third of a photo's share"
        )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _boxes(annotations: list[dict[str, Any]]) -> Tensor:
    """`[N, 4]` x y width height; without crowds, and without annotations that have no box."""
    rows = [a["bbox"] for a in annotations if len(a.get("bbox") or ()) == 4 and not a.get("iscrowd")]
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)
