"""Random numbers of augmentation. All come from the given generator, so that a view is repeatable."""

import math

import torch

from clothseg.config import Strength


def happens(change: Strength, generator: torch.Generator) -> bool:
    """Whether a change applies to this photo. It always draws a number, so that changes do not shift one another."""
    return float(torch.rand((), generator=generator)) < change.p and change.max > 0


def uniform(low: float, high: float, generator: torch.Generator) -> float:
    """A number from `low` to `high`."""
    return low + (high - low) * float(torch.rand((), generator=generator))


def factor(change: Strength, generator: torch.Generator) -> float:
    """A factor from 1 - max to 1 + max, or 1 where the change does not apply."""
    drawn = uniform(1 - change.max, 1 + change.max, generator)
    return drawn if happens(change, generator) else 1.0


def offset(change: Strength, generator: torch.Generator) -> float:
    """A number from -max to max, or 0 where the change does not apply."""
    drawn = uniform(-change.max, change.max, generator)
    return drawn if happens(change, generator) else 0.0


def log_uniform(low: float, high: float, generator: torch.Generator) -> float:
    """A factor from `low` to `high`, as likely below its geometric mean as above."""
    return math.exp(uniform(math.log(low), math.log(high), generator))
