"""Random numbers for augmentation, all from one generator."""

import math

import torch

from clothseg.config import Strength


def happens(change: Strength, generator: torch.Generator) -> bool:
    """Whether to apply a change. Always draws a number, so one change does not affect the random numbers of others."""
    return float(torch.rand((), generator=generator)) < change.p and change.max > 0


def between(low: float, high: float, generator: torch.Generator) -> float:
    """A uniform random number from `low` to `high`."""
    return low + (high - low) * float(torch.rand((), generator=generator))


def factor(change: Strength, generator: torch.Generator) -> float:
    """A factor from 1 - `max` to 1 + `max`, or 1 if the change does not happen."""
    drawn = between(1 - change.max, 1 + change.max, generator)
    return drawn if happens(change, generator) else 1.0


def offset(change: Strength, generator: torch.Generator) -> float:
    """A number from -`max` to `max`, or 0 if the change does not happen."""
    drawn = between(-change.max, change.max, generator)
    return drawn if happens(change, generator) else 0.0


def zoom(low: float, high: float, generator: torch.Generator) -> float:
    """A log-uniform factor from `low` to `high`."""
    return math.exp(between(math.log(low), math.log(high), generator))
