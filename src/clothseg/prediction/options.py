"""What somebody wants to have of a prediction."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from clothseg.dataset.prelabel_files import SHOWN_FROM
from clothseg.instances import Instances, Selection

T = TypeVar("T")
Find = Callable[[Sequence[NDArray[np.uint8]]], Sequence[Instances]]
"""Gives the instances on each of some photos `[H, W, 3]`."""


class ProgressBar(Protocol):
    """Walks through work, for a progress bar."""

    def __call__(self, items: Iterable[T], total: int, what: str, /) -> Iterable[T]:
        """The items; `total` is how many there are, 0 where that is not known."""
        ...


def no_progress(items: Iterable[T], total: int, what: str, /) -> Iterable[T]:
    """No bar."""
    return items


class OutputFormat(StrEnum):
    """Forms that results are written in."""

    COCO = "coco"
    CSV = "csv"
    PICTURES = "pictures"
    CLASS_MAPS = "class-maps"
    INSTANCE_MAPS = "instance-maps"


MAPS = frozenset({OutputFormat.CLASS_MAPS, OutputFormat.INSTANCE_MAPS})
"""Forms that photos alone are written in."""


@dataclass(frozen=True)
class PredictOptions:
    """What is written of photos and videos, and how.

    Attributes:
        formats: COCO results, a table, drawn photos, label maps.
        shown: chooses what pictures, videos and label maps show of it.
        batch: photos (or frames) that are read, looked at and written together.
        every: of a video, every how manieth frame is looked at.
    """

    formats: frozenset[OutputFormat] = frozenset({OutputFormat.COCO, OutputFormat.PICTURES})
    shown: Selection = field(default_factory=lambda: Selection(SHOWN_FROM))
    batch: int = 1
    frame_stride: int = 1
