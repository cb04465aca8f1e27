"""Which masks a run drew for objects labelled with only a box."""

import json
from dataclasses import dataclass
from pathlib import Path

from clothseg.errors import RunError, reading
from clothseg.evaluation.truth import read_truth
from clothseg.instances import Instances
from clothseg.report.choice import sample_of_classes
from clothseg.report.figures import EmbeddedPhoto
from clothseg.report.teacher_examples import EXAMPLES, draw_examples
from clothseg.runs import RunFolder


@dataclass(frozen=True)
class DrawnMasks:
    """Masks that a teacher drew in labelled boxes.

    Attributes:
        epoch: after which they were drawn.
        boxes: objects labelled with only a box.
        masks: those of them that got a mask.
        examples: photos with such masks.
        unread: names of photos that cannot be read any more.
    """

    epoch: int
    boxes: int
    masks: int
    examples: list[EmbeddedPhoto]
    unread: list[str]


def drawn_masks(run: Path) -> DrawnMasks | None:
    """The masks that a run drew last; None if it drew none.

    Raises:
        RunError: the file with the masks is damaged.
    """
    path = RunFolder(run).pseudo_masks
    if not path.is_file():
        return None
    with reading(path, RunError, "train the run again"):
        tree = json.loads(path.read_text(encoding="utf-8"))
        epoch, boxes, masks = (int(tree["info"][name]) for name in ("epoch", "boxes", "masks"))
        shown = {row["image_id"] for row in tree["annotations"] if row.get("drawn")}
        part = {
            **tree,
            "images": [image for image in tree["images"] if image["id"] in shown],
            "annotations": [row for row in tree["annotations"] if row["image_id"] in shown],
        }
    truth = read_truth(part, ())

    def describe(instances: Instances) -> str:
        return ", ".join(truth.names[class_id] for class_id in instances.classes[~instances.crowd].tolist())

    examples, unread = draw_examples(truth, sample_of_classes(truth, EXAMPLES), describe, scores=False)
    return DrawnMasks(epoch, boxes, masks, examples, unread)
