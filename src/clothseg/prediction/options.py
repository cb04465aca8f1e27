"""The options of a prediction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from clothseg.dataset.prelabel_files import SHOWN_FROM, LabelFormat
from clothseg.instances import Selection
from clothseg.photos import RgbImage

if TYPE_CHECKING:
    from clothseg.instances import ArrayInstances, Instances

Find = Callable[[Sequence[RgbImage]], Sequence["Instances | ArrayInstances"]]
"""Returns the instances on each of some photos."""


class OutputFormat(StrEnum):
    """Formats of the results."""

    COCO = "coco"
    CSV = "csv"
    PICTURES = "pictures"
    CLASS_MAPS = "class-maps"
    INSTANCE_MAPS = "instance-maps"


MAPS = frozenset({OutputFormat.CLASS_MAPS, OutputFormat.INSTANCE_MAPS})
"""Formats that exist for photos only, not for videos."""


@dataclass(frozen=True)
class PredictOptions:
    """What is written for photos and videos, and how.

    Attributes:
        formats: COCO results, a table, drawn photos, label maps.
        shown: selects the instances that pictures, videos and label maps show.
        batch: number of photos (or frames) that are read, processed and written together.
        frame_stride: every Nth frame of a video is processed.
        calibrated: whether scores are calibrated; the COCO results of photos then say which masks need a look.
        gallery: whether `index.html` is written too, a page with all photos.
        labels: the formats of `write_prelabels` that are written afterwards; the page lists their files.
    """

    formats: frozenset[OutputFormat] = frozenset({OutputFormat.COCO, OutputFormat.PICTURES})
    shown: Selection = field(default_factory=lambda: Selection(SHOWN_FROM))
    batch: int = 1
    frame_stride: int = 1
    calibrated: bool = False
    gallery: bool = False
    labels: tuple[LabelFormat, ...] = ()
