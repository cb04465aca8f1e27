"""Selects detections: a score threshold for each class, and optionally one class per object."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from clothseg.devices import to_float64
from clothseg.errors import ConfigError
from clothseg.instances.rle import mask_iou
from clothseg.suggestions import did_you_mean

if TYPE_CHECKING:  # torch takes a second or more: it is imported where detections are selected
    from torch import Tensor

    from clothseg.instances.instances import Instances
    from clothseg.instances.rle import Rle


@dataclass(frozen=True)
class Selection:
    """Selects detections of a photo. Call it with `Instances`.

    Attributes:
        score_threshold: for all classes that `thresholds` does not list.
        thresholds: score threshold by class id (1..K).
        class_agnostic_nms_iou: if masks of different classes have this IoU or more, only the one with the highest score
            stays. None keeps all.
    """

    score_threshold: float = 0.0
    thresholds: Mapping[int, float] = field(default_factory=dict)
    class_agnostic_nms_iou: float | None = None

    def __call__(self, found: "Instances") -> "Instances":
        """The selected instances, in their order."""
        chosen = found[self.sure(found)]
        return (
            chosen if self.class_agnostic_nms_iou is None else class_agnostic_nms(chosen, self.class_agnostic_nms_iou)
        )

    def sure(self, found: "Instances") -> "Tensor":
        """Which instances reach the threshold of their class: `[N]` bool."""
        thresholds = [self.least(class_id) for class_id in found.classes.tolist()]
        scores = to_float64(found.scores)
        return (scores >= scores.new_tensor(thresholds)).to(found.scores.device)

    def least(self, class_id: int) -> float:
        """The score threshold of a class."""
        return self.thresholds.get(class_id, self.score_threshold)


def class_agnostic_nms(found: "Instances", iou: float) -> "Instances":
    """Removes detections that overlap a better one of another class.

    From the highest score down, a detection stays unless its mask has an IoU of `iou` or more with one that stays and
    has another class. Of equal scores the first one is better. Detections of one class do not remove each other: the
    network's own NMS has compared them.

    Returns:
        The remaining detections in the given order, their masks as run lengths.
    """
    from clothseg.instances.masks import RleMasks  # noqa: PLC0415

    runs = found.masks.rle()
    staying = best_of_classes(found, runs, iou)
    return replace(found, masks=RleMasks(runs, found.size))[staying.to(found.boxes.device)]


def best_of_classes(found: "Instances", runs: Sequence["Rle"], iou: float) -> "Tensor":
    """Which detections stay in `class_agnostic_nms`: `[N]` bool on the CPU. `runs` are their masks."""
    import torch  # noqa: PLC0415

    overlap = torch.from_numpy(mask_iou(runs, runs)) >= iou
    classes = found.classes.cpu()
    rivals = overlap & (classes[:, None] != classes[None, :])
    staying = torch.zeros(len(found), dtype=torch.bool)
    for position in found.scores.argsort(descending=True, stable=True).tolist():
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
        ignore_case: whether `dress` also finds `Dress`. An exact match wins.

    Raises:
        ConfigError: there is no such class. The message suggests similar names.
    """
    if name in classes:
        return classes.index(name) + 1
    lower = [known.lower() for known in classes]
    if ignore_case and name.lower() in lower:
        return lower.index(name.lower()) + 1
    hint = did_you_mean(name, classes, otherwise="it knows")
    raise ConfigError(f"{option}: the network knows no class {name!r}; {hint}")
