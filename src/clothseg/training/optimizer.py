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
