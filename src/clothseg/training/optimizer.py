"""The optimizer and the learning rate of a step."""

import math

import torch
from torch import nn

from clothseg.config import Train
from clothseg.networks import MaskRCNNNetwork


def make_optimizer(network: MaskRCNNNetwork, settings: Train) -> torch.optim.Optimizer:
    """SGD or AdamW over what is trained, the trunk at its own rate; norms and biases do not decay."""
    trunk = {id(p) for p in network.backbone.parameters()}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in network.parameters():
        if parameter.requires_grad:
            key = id(parameter) in trunk, parameter.dim() > 1
            groups.setdefault(key, []).append(parameter)
    rows = [
        {
            "params": parameters,
            "lr": settings.learning_rate * (settings.backbone_rate if in_trunk else 1.0),
            "initial_lr": settings.learning_rate * (settings.backbone_rate if in_trunk else 1.0),
            "weight_decay": settings.weight_decay if decays else 0.0,
        }
        for (in_trunk, decays), parameters in sorted(groups.items(), reverse=True)
    ]
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(rows)
    return torch.optim.SGD(rows, momentum=settings.momentum)


def rate_factor(step: int, settings: Train, steps: int) -> float:
    """Part of the learning rate at a step: up in a line during the warm-up, then constant or down in a cosine to 0."""
    if step < settings.warmup_steps:
        return (step + 1) / settings.warmup_steps
    if settings.schedule == "constant":
        return 1.0
    done = (step - settings.warmup_steps) / max(1, steps - settings.warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * done))
