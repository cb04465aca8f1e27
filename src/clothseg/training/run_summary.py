"""What a training will do, summarized before its first step, and how long it will take, estimated after a few."""

import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from clothseg.config import Config
from clothseg.counting import counted, first_names
from clothseg.dataset import CocoLikeDataset, mask_repeats
from clothseg.dataset.reading import describe_corrections
from clothseg.devices import describe_precision
from clothseg.distributed import local_world_size
from clothseg.files import atomic_write
from clothseg.instances import CocoAnnotation, is_box_only
from clothseg.networks import Network
from clothseg.optional import is_installed
from clothseg.pictures import loss_curves
from clothseg.runs import RunFolder
from clothseg.training.history import overfitting, read_history
from clothseg.training.memory.device import format_bytes, free_memory, resident, shares_main_memory
from clothseg.training.memory.forecast import Forecast, forecast_memory
from clothseg.training.schedule import describe_lr_scale
from clothseg.training.trainer import Trainer
from clothseg.versions import library_versions


def summarize_run(
    trainer: Trainer, train: CocoLikeDataset, val: CocoLikeDataset, weights: str
) -> tuple[list[str], dict[str, Any]]:
    """What is about to happen.

    Args:
        trainer: before its first step.
        train, val: prepared datasets.
        weights: what the initial weights are, for people.

    Returns:
        one line per subject, and the facts for `run.json`.
    """
    network, config, device = trainer.network, trainer.config, trainer.fabric.device
    checks = network.preflight([((e.height, e.width), coco_boxes(e.annotations)) for e in train.images])
    memory = forecast_memory(config, train, val, device, network)
    rows = [row for entry in train.images for row in entry.annotations]
    boxes, crowds = sum(is_box_only(row) for row in rows), sum(bool(row.get("iscrowd")) for row in rows)
    objects = counted(len(rows) - crowds, "object") + (f" ({boxes} of them with a box and no mask)" if boxes else "")
    objects += f" and {counted(crowds, 'crowd')}" if crowds else ""
    lines = {
        "network": f"{config.backbone.name}, {describe_trainable(network, config)}",
        "weights": weights,
        "photos": f"{len(train)} to learn from with {objects}, {len(val)} to validate; "
        f"{first_names(train.classes)}{warn_missing_classes(train)}",
        "steps": describe_plan(trainer),
        "numbers": describe_precision(trainer.precision, device),
        **{check.name: check.summary for check in checks},
        "memory": describe_memory(memory, device, resident(), local_world_size(config.train.devices)),
    }
    texts = [f"{name:<9}{text}" for name, text in lines.items()]
    if often := describe_mask_share(train, config):
        texts.append(f"{'masks':<9}{often}")
    if config.box_labels.pseudo_masks and not boxes:
        texts.append(f"{'advice':<9}box_labels.pseudo_masks: every object has a mask, so none is drawn")
    if not is_installed("tensorboard"):
        texts.append(f"{'events':<9}none for TensorBoard, which is not installed (pip install tensorboard)")
    if advice := advise_empty_photos(train):
        texts.append(f"{'advice':<9}{advice}")
    for data in (train, val) if val.source != train.source else (train,):
        if corrected := describe_corrections(data.source or "", data.corrections):
            texts.append(f"{'labels':<9}{corrected}")
    facts: dict[str, Any] = {check.name: check.facts for check in checks}
    facts["memory"] = {"forecast": vars(memory) | {"total": memory.total}}
    return texts, facts


def add_run_facts(
    run: RunFolder, network: Network, train: CocoLikeDataset, val: CocoLikeDataset, weights: str | None
) -> None:
    """Adds to `run.json` what it keeps of a training: data, classes, device, weights, sizes, versions, time, steps.

    Args:
        run: its folder, with a history.
        network: as trained.
        train, val: prepared datasets.
        weights: what the initial weights were, for people; None if they are known already.
    """
    frozen, last = network.config.backbone.frozen_stages, read_history(run.history)[-1]
    facts: dict[str, Any] = {
        "data": str(train.folder or ""),
        "classes": train.classes,
        "device": str(network.device),
        "parameters": {
            "total": sum(p.numel() for p in network.parameters()),
            "trained": sum(p.numel() for p in network.parameters() if p.requires_grad),
        },
        "frozen": f"the first {frozen} of 5 stages of the backbone" if frozen else "nothing",
        "photos": {"train": len(train), "val": len(val)},
        "versions": library_versions(),
        "timings": {"train": round(last["seconds"], 1)},
        "steps": int(last["step"]),
    }
    run.add_facts(facts if weights is None else facts | {"weights": weights})


def describe_plan(trainer: Trainer) -> str:
    """Epochs, steps, stages and devices, for people."""
    settings, stages = trainer.config.train, trainer.stages
    trained = "; ".join(
        f"{stage.name} until epoch {stage.end // trainer.steps_per_epoch} at {stage.learning_rate:g}"
        for stage in stages
    )
    shortest = min(stage.end - stage.first for stage in stages)
    slow = (
        f"; the warm-up of {counted(settings.warmup_steps, 'step')} is longer than a stage of "
        f"{counted(shortest, 'step')}"
        if settings.warmup_steps > shortest
        else ""
    )
    photos = len(trainer.train)
    cached = (
        f"; cached as pixels: {trainer.cached_photos} of {counted(photos, 'photo')}" if trainer.cached_photos else ""
    )
    return (
        f"{counted(settings.epochs, 'epoch')} of {counted(trainer.steps_per_epoch, 'step')} of "
        f"{counted(trainer.photos, 'photo')}, on "
        f"{trainer.distributed.description}; trained: {trained}{describe_lr_scale(settings, trainer.photos)}{slow}"
        f"{cached}"
    )


def warn_missing_classes(train: CocoLikeDataset) -> str:
    """A warning about classes without an object to learn from; empty if all have some."""
    missing = [train.classes[class_id - 1] for class_id, count in train.count_objects().items() if not count]
    return f"; NO object to learn from: {first_names(missing)}" if missing else ""


def advise_empty_photos(train: CocoLikeDataset) -> str:
    """What to add if every photo shows an object; empty if one does not."""
    if any(not entry.annotations for entry in train.images):
        return ""
    return (
        "every photo to learn from shows an object, so expect objects on photos that have none; add photos with "
        "nothing to draw, best of things that look similar"
    )


def describe_mask_share(train: CocoLikeDataset, config: Config) -> str:
    """How much more often photos with masks come than others, which have boxes alone; empty if they do not."""
    settings = config.train
    masks = mask_repeats(train, settings.repeat_threshold, settings.empty_share, config.box_labels.mask_share)
    if masks is None:
        return ""
    return (
        f"{counted(sum(masks.has), 'photo')} with masks, {masks.factor:.2g} times as often as the others, which have "
        "boxes alone (box_labels.mask_share)"
    )


def describe_trainable(network: Network, config: Config) -> str:
    """How much of the network learns, in each stage of the training."""
    total = sum(p.numel() for p in network.parameters())
    before = network.backbone.frozen
    parts = []
    for frozen, end in [(stage.frozen_stages, stage.end_epoch) for stage in config.train.stages] or [(before, 0)]:
        network.backbone.freeze(frozen)
        learning = sum(p.numel() for p in network.parameters() if p.requires_grad)
        stages = f"the first {frozen} of 5" if frozen else "none of the 5"
        when = f" until epoch {end}" if len(config.train.stages) > 1 else ""
        parts.append(f"{learning / 1e6:.1f} of {total / 1e6:.1f} million weights learn{when}, {stages} stages frozen")
    network.backbone.freeze(before)
    return "; ".join(parts)


def describe_memory(memory: Forecast, device: torch.device, resident_bytes: int, world_size: int = 1) -> str:
    """The forecast, whether it fits, and what most of it is for.

    Args:
        memory: of one rank.
        device: that the network learns on.
        resident_bytes: what this process has on the CPU already.
        world_size: number of ranks, which on a CPU share one memory.
    """
    main = shares_main_memory(device)
    sharing = world_size if main else 1
    total = memory.total * sharing
    parts = sorted(((size, name) for name, size in vars(memory).items() if size), reverse=True)
    mostly = ", ".join(f"{name} {format_bytes(size)}" for size, name in parts[:4])
    mostly = f"{format_bytes(memory.total)} for each of {sharing} processes: {mostly}" if sharing > 1 else mostly
    free = free_memory(device)
    available = free + resident_bytes if main else free + torch.cuda.memory_reserved(device)
    fits = "" if total <= available else ": it does NOT fit; --max-memory chooses settings that do"
    return f"about {format_bytes(total)} of {format_bytes(available)} at the peak ({mostly}){fits}"


class EtaEstimator:
    """Estimates the duration of a training from its first steps.

    Args:
        trainer: before its first step.
        val_photos: number of validation photos after each epoch.
    """

    MEASURED = 5
    """Steps that are timed, after one to warm up."""
    SHORTEST = 10
    """Seconds: a shorter duration is not reported."""

    def __init__(self, trainer: Trainer, val_photos: int) -> None:
        self.first, self.steps, self.per_epoch = trainer.state.step, trainer.steps, trainer.steps_per_epoch
        self.photos, self.val_photos = trainer.photos, val_photos
        self.started: float | None = None

    def after(self, step: int) -> str:
        """The remaining time, once, after the measured steps; empty after all others."""
        if step == self.first + 1:
            self.started = time.monotonic()
        if self.started is None or step != self.first + 1 + self.MEASURED:
            return ""
        each = (time.monotonic() - self.started) / self.MEASURED
        validation = self.val_photos * each / self.photos / 3  # a forward pass takes about a third of a step
        left = (self.steps - step) * each + (self.steps - step) / self.per_epoch * validation
        self.started = None
        if left < self.SHORTEST:
            return ""
        return (
            f"{'time':<9}about {_duration(left)} to go: {each:.2g} s a step, measured on steps {self.first + 2} to "
            f"{step}; a validation photo is counted as a third of a training photo"
        )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def coco_boxes(annotations: Sequence[CocoAnnotation]) -> Tensor:
    """`[N, 4]` x y width height; without crowds, and without annotations that have no box."""
    rows = [a["bbox"] for a in annotations if len(a.get("bbox") or ()) == 4 and not a.get("iscrowd")]
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)


def write_curves(run: RunFolder) -> None:
    """Draws the history of a run as its `curves.png`."""
    rows = read_history(run.history)
    atomic_write(run.curves, loss_curves(rows, marks=overfitting(rows)))
