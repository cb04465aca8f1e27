"""The optimizer and the learning rate of a step."""

import math

import torch
from torch import nn

from clothseg.config import Train
from clothseg.networks import MaskRCNNNetwork


def make_optimizer(network: MaskRCNNNetwork, settings: Train, rate: float) -> torch.optim.Optimizer:
    """SGD or AdamW over what is trained, the trunk at its own part of `rate`; norms and biases do not decay."""
    trunk = {id(p) for p in network.backbone.parameters()}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in network.parameters():
        if parameter.requires_grad:
            key = id(parameter) in trunk, parameter.dim() > 1
            groups.setdefault(key, []).append(parameter)
    rows = []
    for (in_trunk, decays), parameters in sorted(groups.items(), reverse=True):
        own = rate * (settings.backbone_rate if in_trunk else 1.0)
        decay = settings.weight_decay if decays else 0.0
        rows.append({"params": parameters, "lr": own, "initial_lr": own, "weight_decay": decay})
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(rows)
    return torch.optim.SGD(rows, momentum=settings.momentum)


def carry_on(old: torch.optim.Optimizer, new: torch.optim.Optimizer) -> None:
    """Give `new` what `old` knows of the weights that both train: momentum, running means."""
    for group in new.param_groups:
        for parameter in group["params"]:
            if parameter in old.state:
                new.state[parameter] = old.state[parameter]


def rate_scale(settings: Train, photos: int) -> float:
    """What the learning rates are multiplied with where a step has another number of photos than they are meant for.

    In proportion to the photos for SGD (Goyal et al., "Accurate, Large Minibatch SGD", section 2.1), with their square
    root for AdamW (Malladi et al., "On the SDEs and Scaling Rules for Adaptive Gradient Algorithms", NeurIPS 2022).
    """
    if settings.rate_for_photos is None:
        return 1.0
    scale = photos / settings.rate_for_photos
    return math.sqrt(scale) if settings.optimizer == "adamw" else scale


def scaled_words(settings: Train, photos: int) -> str:
    """A word on `rate_scale` for people, where it changes anything."""
    scale = rate_scale(settings, photos)
    if scale == 1:
        return ""
    return f" (the configured rates times {scale:.3g}: they are for {settings.rate_for_photos} photos a step)"


def rate_factor(step: int, settings: Train, steps: int) -> float:
    """Part of the learning rate at a step of a stage of `steps`.

    Up in a line during the warm-up, then constant or down in a cosine to 0.
    """
    if step < settings.warmup_steps:
        return (step + 1) / settings.warmup_steps
    if settings.schedule == "constant":
        return 1.0
    done = (step - settings.warmup_steps) / max(1, steps - settings.warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * done))
