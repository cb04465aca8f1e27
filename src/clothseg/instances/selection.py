"""Selects detections: a score threshold for each class, and optionally one class per object."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from clothseg.errors import ConfigError
from clothseg.instances.arrays import ArrayInstances, Found
from clothseg.instances.class_names import class_name_key
from clothseg.instances.rle import Rle, mask_iou
from clothseg.suggestions import did_you_mean

if TYPE_CHECKING:  # torch takes a second or more
    from clothseg.instances.instances import Instances


@dataclass(frozen=True)
class Selection:
    """Selects detections of a photo. Call it with `Instances` or `ArrayInstances`.

    Attributes:
        score_threshold: for all classes that `thresholds` does not list.
        thresholds: score threshold by class id (1..K).
        class_agnostic_nms_iou: if masks of different classes have this IoU or more, only the one with the highest score
            stays. None keeps all.
    """

    score_threshold: float = 0.0
    thresholds: Mapping[int, float] = field(default_factory=dict)
    class_agnostic_nms_iou: float | None = None

    def __call__(self, found: Found) -> Found:
        """The selected instances, in their order."""
        chosen = found[self.above_threshold(found)]
        return (
            chosen if self.class_agnostic_nms_iou is None else class_agnostic_nms(chosen, self.class_agnostic_nms_iou)
        )

    def above_threshold(self, found: "Instances | ArrayInstances") -> list[int]:
        """The positions of the instances that reach the threshold of their class."""
        pairs = enumerate(zip(found.classes.tolist(), found.scores.tolist(), strict=True))
        return [position for position, (class_id, score) in pairs if score >= self.least(class_id)]

    def least(self, class_id: int) -> float:
        """The score threshold of a class."""
        return self.thresholds.get(class_id, self.score_threshold)


def class_agnostic_nms(found: Found, iou: float) -> Found:
    """Removes detections that overlap a better one of another class.

    From the highest score down, a detection stays unless its mask has an IoU of `iou` or more with one that stays and
    has another class. Of equal scores the first one is better. Detections of one class do not remove each other: the
    network's own NMS has compared them.

    Returns:
        The remaining detections in the given order; those of `Instances` have their masks as run lengths.
    """
    runs = found.masks.rle()
    positions = np.flatnonzero(best_of_classes(found, runs, iou)).tolist()
    if isinstance(found, ArrayInstances):
        return found[positions]
    from clothseg.instances.masks import RleMasks  # noqa: PLC0415 - it needs torch

    return replace(found, masks=RleMasks(runs, found.size))[positions]


def best_of_classes(found: "Instances | ArrayInstances", runs: Sequence[Rle], iou: float) -> NDArray[np.bool_]:
    """Which detections stay in `class_agnostic_nms`: `[N]`. `runs` are their masks."""
    classes, scores = np.array(found.classes.tolist()), found.scores.tolist()
    rivals = (mask_iou(runs, runs) >= iou) & (classes[:, None] != classes[None, :])
    staying = np.zeros(len(runs), dtype=np.bool_)
    for position in sorted(range(len(runs)), key=lambda p: -scores[p]):
        staying[position] = not (rivals[position] & staying).any()
    return staying


def class_number(
    name: str, classes: Sequence[str], *, option: str = "inference.class_thresholds", ignore_case: bool = False
) -> int:
    """The number 1..K of a class by its name.

    Args:
        name: of the class.
        classes: the names of the classes 1..K.
        option: the config key or option that holds `name`, for the error message.
        ignore_case: whether `dress` also finds `Dress`. An exact match wins. The form of accents makes no difference.

    Raises:
        ConfigError: there is no such class. The message suggests similar names.
    """
    if name in classes:
        return classes.index(name) + 1
    form = class_name_key if ignore_case else partial(normalize, "NFC")
    forms = [form(known) for known in classes]
    if form(name) in forms:
        return forms.index(form(name)) + 1
    hint = did_you_mean(name, classes, otherwise="it knows")
    raise ConfigError(f"{option}: the network knows no class {name!r}; {hint}")
