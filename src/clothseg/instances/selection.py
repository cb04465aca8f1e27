"""Which of the detections on a photo count: a least score for each class, and one name for each garment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

import torch
from torch import Tensor

from clothseg.errors import ConfigError
from clothseg.instances.instances import Instances
from clothseg.instances.masks import RleMasks
from clothseg.instances.rle import mask_iou


@dataclass(frozen=True)
class Selection:
    """Chooses among the instances of a photo; call it with them.

    Attributes:
        score_threshold: least score of a class that `thresholds` does not name.
        thresholds: least score by class id (1..K).
        class_agnostic_nms_iou: if masks of different classes overlap by this IoU or more, only the one with the
            highest score stays; None keeps all.
    """

    score_threshold: float = 0.0
    thresholds: Mapping[int, float] = field(default_factory=dict)
    class_agnostic_nms_iou: float | None = None

    def __call__(self, found: Instances) -> Instances:
        """Those of `found` that count, in their order."""
        chosen = found[self.sure(found)]
        return (
            chosen if self.class_agnostic_nms_iou is None else class_agnostic_nms(chosen, self.class_agnostic_nms_iou)
        )

    def sure(self, found: Instances) -> Tensor:
        """`[N]` bool: which of `found` have the score that their class needs."""
        least = [self.least(class_id) for class_id in found.classes.tolist()]
        return found.scores.double() >= torch.tensor(least, dtype=torch.float64, device=found.scores.device)

    def least(self, class_id: int) -> float:
        """The score that an instance of a class needs."""
        return self.thresholds.get(class_id, self.score_threshold)


def class_agnostic_nms(found: Instances, iou: float) -> Instances:
    """Leave out what another class has been found for with more confidence, in the same place.

    From the surest detection down, each stays unless its mask overlaps one that stays, and that is of another class, by
    `iou` or more. Of equal scores the first one counts as the surer. Detections of one class leave each other alone:
    the network has done that by their boxes.

    Returns:
        those that stay, in the order given, their masks as run lengths.
    """
    runs = found.masks.rle()
    overlap = torch.from_numpy(mask_iou(runs, runs)) >= iou
    classes = found.classes.cpu()
    rivals = overlap & (classes[:, None] != classes[None, :])
    staying = torch.zeros(len(found), dtype=torch.bool)
    for position in found.scores.argsort(descending=True, stable=True).tolist():
        staying[position] = not (rivals[position] & staying).any()
    return replace(found, masks=RleMasks(runs, found.size))[staying.to(found.boxes.device)]


def class_number(name: str, classes: Sequence[str]) -> int:
    """The number 1..K of a class by its name.

    Raises:
        ConfigError: there is no such class.
    """
    if name in classes:
        return classes.index(name) + 1
    near = get_close_matches(name.lower(), [known.lower() for known in classes], n=3)
    meant = [known for known in classes if known.lower() in near]
    hint = f"did you mean {' or '.join(meant)}?" if meant else f"it knows {', '.join(classes)}"
    raise ConfigError(f"inference.class_thresholds: the network knows no class {name!r}; {hint}")
