"""Which of the detections on a photo count: a least score for each class, and one name for each garment."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from clothseg.instances.instances import Instances
from clothseg.instances.masks import RleMasks
from clothseg.instances.rle import mask_iou


@dataclass(frozen=True)
class Selection:
    """Chooses among the instances of a photo; call it with them.

    Attributes:
        min_confidence: least score of a class that `thresholds` does not name.
        thresholds: least score by class id (1..K).
        cross_class_iou: of detections of different classes whose masks overlap by this IoU or more, only the surest
            stays; None lets all stay.
    """

    min_confidence: float = 0.0
    thresholds: Mapping[int, float] = field(default_factory=dict)
    cross_class_iou: float | None = None

    def __call__(self, found: Instances) -> Instances:
        """Those of `found` that count, in their order."""
        chosen = found[self.sure(found)]
        return chosen if self.cross_class_iou is None else suppress_across_classes(chosen, self.cross_class_iou)

    def sure(self, found: Instances) -> Tensor:
        """`[N]` bool: which of `found` have the score that their class needs."""
        least = [self.least(class_id) for class_id in found.classes.tolist()]
        return found.scores.double() >= torch.tensor(least, dtype=torch.float64, device=found.scores.device)

    def least(self, class_id: int) -> float:
        """The score that an instance of a class needs."""
        return self.thresholds.get(class_id, self.min_confidence)


def suppress_across_classes(found: Instances, iou: float) -> Instances:
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
