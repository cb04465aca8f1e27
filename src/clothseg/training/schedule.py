"""What learns when, and how fast: the stages of a training, its optimizer, and the learning rate of a step."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from clothseg.config import Config, TrainSettings
from clothseg.networks import Network


@dataclass(frozen=True)
class StageSpan:
    """One stage of the training, in steps.

    Attributes:
        first, end: its steps, without `end`.
        frozen: number of frozen stages of the backbone.
        learning_rate: what warm-up and schedule take a fraction of.
        name: what is trained, for people.
    """

    first: int
    end: int
    frozen: int
    learning_rate: float
    name: str


def plan_stages(config: Config, steps_per_epoch: int, photos: int) -> list[StageSpan]:
    """The stages of a configuration, in order.

    Args:
        config: with stages, or without any for a single one.
        steps_per_epoch: steps of an epoch.
        photos: of a step.
    """
    settings = config.train
    scale = lr_scale(settings, photos)
    frozen = config.backbone.frozen_stages
    if not settings.stages:
        end = settings.epochs * steps_per_epoch
        return [StageSpan(0, end, frozen, settings.learning_rate * scale, _trained(frozen))]
    spans: list[StageSpan] = []
    for stage in settings.stages:
        first = spans[-1].end if spans else 0
        rate = (stage.learning_rate or settings.learning_rate) * scale
        end = stage.end_epoch * steps_per_epoch
        spans.append(StageSpan(first, end, stage.frozen_stages, rate, _trained(stage.frozen_stages)))
    return spans


def stage_at(stages: list[StageSpan], step: int) -> StageSpan:
    """The stage that a step belongs to; after the last step, the last stage."""
    return next((stage for stage in stages if step < stage.end), stages[-1])


def _trained(frozen: int) -> str:
    if frozen == 5:
        return "heads"
    return f"all but the first {frozen} stages of the backbone" if frozen else "all layers"


def make_optimizer(network: Network, settings: TrainSettings, learning_rate: float) -> torch.optim.Optimizer:
    """SGD or AdamW over what is trained; the backbone has its own learning rate, norms and biases no weight decay."""
    of_backbone = {id(p) for p in network.backbone.parameters()}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in network.parameters():
        if parameter.requires_grad:
            key = id(parameter) in of_backbone, parameter.dim() > 1
            groups.setdefault(key, []).append(parameter)
    rows = []
    for (in_backbone, decays), parameters in sorted(groups.items(), reverse=True):
        rate = learning_rate * (settings.backbone_lr_scale if in_backbone else 1.0)
        decay = settings.weight_decay if decays else 0.0
        rows.append({"params": parameters, "lr": rate, "initial_lr": rate, "weight_decay": decay})
    fused = is_fused(network, settings)
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(rows, fused=fused)
    return torch.optim.SGD(rows, momentum=settings.momentum, fused=fused)


def is_fused(network: Network, settings: TrainSettings) -> bool | None:
    """Whether one operation changes all weights: True, or None for PyTorch's own choice.

    Weights without values (`meta`) cannot; and with float16 such an operation undoes the scale of the gradients itself,
    after they are clipped.
    """
    return None if network.device.type == "meta" or settings.precision == "16-mixed" else True


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Gives an optimizer the saved state of another, which may have computed in another way or on another device."""
    ways = ("fused", "foreach", "capturable")
    groups = [
        saved | {way: own[way] for way in ways if way in own}
        for saved, own in zip(state["param_groups"], optimizer.param_groups, strict=True)
    ]
    optimizer.load_state_dict(state | {"param_groups": groups})
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            if isinstance(value, torch.Tensor) and value.dim() and value.shape != parameter.shape:
                raise ValueError(f"{name} of the optimizer has the shape {tuple(value.shape)}, not that of its weights")


def transfer_optimizer_state(old: torch.optim.Optimizer, new: torch.optim.Optimizer) -> None:
    """Gives `new` the state (momentum, running means) of the weights that both optimizers train."""
    for group in new.param_groups:
        for parameter in group["params"]:
            if parameter in old.state:
                new.state[parameter] = old.state[parameter]


def set_learning_rate(optimizer: torch.optim.Optimizer, step: int, stage: StageSpan, settings: TrainSettings) -> None:
    """Sets the learning rate of each group for a step of a stage."""
    factor = lr_factor(step - stage.first, settings, stage.end - stage.first)
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor


def lr_factor(step: int, settings: TrainSettings, steps: int) -> float:
    """Fraction of the learning rate at a step of a stage of `steps`: linear warm-up, then `settings.schedule`.

    `poly` is that of Chen et al., "DeepLab" (TPAMI 2018), section 4.1.2.
    """
    if step < settings.warmup_steps:
        return (step + 1) / settings.warmup_steps
    if settings.schedule == "constant":
        return 1.0
    done = (step - settings.warmup_steps) / max(1, steps - settings.warmup_steps)
    if settings.schedule == "poly":
        return math.pow(max(0.0, 1 - done), settings.poly_power)
    return 0.5 * (1 + math.cos(math.pi * done))


def lr_scale(settings: TrainSettings, photos: int) -> float:
    """Factor of the learning rates for steps of another number of photos than `train.lr_reference_batch`.

    Linear for SGD (Goyal et al., "Accurate, Large Minibatch SGD", section 2.1), square root for AdamW (Malladi et al.,
    "On the SDEs and Scaling Rules for Adaptive Gradient Algorithms", NeurIPS 2022).
    """
    if settings.lr_reference_batch is None:
        return 1.0
    scale = photos / settings.lr_reference_batch
    return math.sqrt(scale) if settings.optimizer == "adamw" else scale


def describe_lr_scale(settings: TrainSettings, photos: int) -> str:
    """`lr_scale` for people; empty if it changes nothing."""
    scale = lr_scale(settings, photos)
    if scale == 1:
        return ""
    return f" (learning rates times {scale:.3g}, because they are for {settings.lr_reference_batch} photos a step)"
