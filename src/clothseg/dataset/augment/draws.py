"""Random numbers of a change, from one generator."""

import math

import torch

from clothseg.config import Strength


def happens(change: Strength, generator: torch.Generator) -> bool:
    """Whether a change falls on this photo. A number is drawn in any case, so that changes do not shift one another."""
    return float(torch.rand((), generator=generator)) < change.p and change.max > 0


def between(low: float, high: float, generator: torch.Generator) -> float:
    """A number evenly from `low` to `high`."""
    return low + (high - low) * float(torch.rand((), generator=generator))


def factor(change: Strength, generator: torch.Generator) -> float:
    """A factor from 1 - most to 1 + most, or 1 where the change does not happen."""
    drawn = between(1 - change.max, 1 + change.max, generator)
    return drawn if happens(change, generator) else 1.0


def offset(change: Strength, generator: torch.Generator) -> float:
    """A number from -most to most, or 0 where the change does not happen."""
    drawn = between(-change.max, change.max, generator)
    return drawn if happens(change, generator) else 0.0


def zoom(low: float, high: float, generator: torch.Generator) -> float:
    """A factor from `low` to `high`, as likely below its geometric mean as above."""
    return math.exp(between(math.log(low), math.log(high), generator))
