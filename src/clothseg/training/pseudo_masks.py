"""Masks for objects that are labelled with a box and no mask: the EMA of the weights is a teacher that draws them.

The teacher finds the object in its box, the edge of its mask moves to the edges of the photo as that of a cut-out does,
and the labelled box tells good masks from bad ones: a mask that does not fill it is not learned. Sources: Khoreva et
al., Simple Does It (CVPR 2017), where GrabCut makes masks of boxes for a training in rounds; Cheng et al., BoxTeacher
(CVPR 2023), where an EMA of the weights draws them and the boxes judge them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from clothseg.config import BoxLabelSettings, Config
from clothseg.dataset import CocoLikeDataset
from clothseg.garments import soft_mask
from clothseg.garments.matting import move_edge
from clothseg.garments.refined import COARSE_SIDE
from clothseg.instances import (
    CocoAnnotation,
    Instances,
    Rle,
    XywhBox,
    box_iou,
    encode,
    is_box_only,
    mask_area,
    tight_box,
    to_xywh,
)
from clothseg.photos import RgbImage
from clothseg.runs import RunFolder
from clothseg.training.ema import EmaWeights
from clothseg.training.examples import Examples
from clothseg.training.run_log import RunLog
from clothseg.training.teacher import ask_teacher, write_labels

SAME_OBJECT = 0.6
"""Box IoU from which a detection of the same class is the labelled object."""


@dataclass
class PseudoMasks:
    """Draws masks for the objects of a training that have only a box.

    Attributes:
        dataset: what the training learns from.
        config: of the training.
        examples: of `dataset`.
        labels: people's annotations of the photos with such objects, by position.
        drawn: the masks in use, by position and by the number of the annotation there.
    """

    dataset: CocoLikeDataset
    config: Config
    examples: Examples
    labels: Mapping[int, list[CocoAnnotation]]
    drawn: dict[int, dict[int, Rle]] = field(default_factory=dict)

    @classmethod
    def of(cls, dataset: CocoLikeDataset, config: Config, examples: Examples) -> "PseudoMasks | None":
        """For the labelled photos of `dataset`; None if no mask is to be drawn."""
        if not config.box_labels.pseudo_masks:
            return None
        entries = enumerate(dataset.images[: dataset.labelled])
        labels = {n: entry.annotations for n, entry in entries if any(map(is_box_only, entry.annotations))}
        return cls(dataset, config, examples, labels) if labels else None

    @property
    def boxes(self) -> int:
        """How many objects have only a box."""
        return sum(is_box_only(row) for rows in self.labels.values() for row in rows)

    def after_epoch(self, epoch: int, teacher: EmaWeights | None, run: RunFolder, log: RunLog) -> dict[str, Any]:
        """Asks the teacher after an epoch if that is due, and uses, writes and logs what it draws.

        Returns:
            the masks in use, for a checkpoint.

        Raises:
            PhotoError: too many photos cannot be read any more.
        """
        if teacher is not None and self.config.box_labels.labels_after(epoch, self.config.train.epochs):
            self.use(self.draw(teacher))
            if self.examples.network.distributed.is_first:
                self.write(run, epoch)
            log.info(f"epoch {epoch}: {self.describe()}")
        return self.state_dict()

    def draw(self, teacher: EmaWeights) -> dict[int, dict[int, Rle]]:
        """The teacher's masks, by position and by the number of the annotation there.

        Raises:
            PhotoError: too many photos cannot be read any more.
        """

        def masks_of(position: int, photo: RgbImage, found: Instances) -> dict[int, Rle]:
            return {
                number: mask
                for number, row in enumerate(self.labels[position])
                if is_box_only(row) and (mask := self._mask_for(row, photo, found))
            }

        positions = sorted(self.labels)
        answers = ask_teacher(teacher, self.examples, self.dataset, positions, masks_of)
        return {position: masks for position, masks in zip(positions, answers, strict=True) if masks}

    def _mask_for(self, row: CocoAnnotation, photo: RgbImage, found: Instances) -> Rle | None:
        of_class = found[found.classes == self.dataset.map_source_class_id(row["category_id"])]
        x, y, width, height = row["bbox"]
        return mask_in_box(of_class, (x, y, width, height), photo, self.config.box_labels)

    def use(self, drawn: dict[int, dict[int, Rle]]) -> None:
        """Learns from these masks from the next batch on."""
        self.drawn = drawn
        for position, rows in self.labels.items():
            masks = drawn.get(position, {})
            annotations = [_with_mask(row, masks.get(number)) for number, row in enumerate(rows)]
            self.dataset.images[position] = replace(self.dataset.images[position], annotations=annotations)
        self.examples.forget(self.labels)

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint; empty if the teacher was not asked yet."""
        return {"drawn": self.drawn} if self.drawn else {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continues with the masks of a checkpoint of the same dataset."""
        if state:
            self.use(state["drawn"])

    def write(self, run: RunFolder, epoch: int) -> None:
        """Writes the photos with such objects as a COCO file, in which drawn masks have `drawn` 1."""
        positions = sorted(self.labels)
        annotations: list[CocoAnnotation] = [
            {**row, "drawn": int(number in self.drawn.get(position, {}))}  # type: ignore[typeddict-unknown-key]
            for position in positions
            for number, row in enumerate(self.dataset.images[position].annotations)
        ]
        info = {
            "description": "masks that a training drew in boxes, not made by people",
            "epoch": epoch,
            "boxes": self.boxes,
            "masks": sum(map(len, self.drawn.values())),
        }
        write_labels(run.pseudo_masks, self.dataset, positions, annotations, info)

    def describe(self) -> str:
        """What the teacher drew last, for people."""
        masks = sum(map(len, self.drawn.values()))
        return f"the teacher drew masks for {masks} of the {self.boxes} objects with only a box"


def mask_in_box(found: Instances, box: XywhBox, photo: RgbImage, settings: BoxLabelSettings) -> Rle | None:
    """The mask of the detection in a labelled box, with its edge at the edges of the photo; None if none is good.

    Args:
        found: detections of the object's class on the photo.
        box: the label.
        photo: `[H, W, 3]` uint8.
        settings: what a good mask is.
    """
    overlap = [box_iou(box, (x, y, width, height)) for x, y, width, height in to_xywh(found.boxes).tolist()]
    if not overlap or max(overlap) < SAME_OBJECT:
        return None
    soft = soft_mask(found.masks, int(np.argmax(overlap)))
    if soft is None or float(soft.values[soft.values > 0.5].mean()) < settings.mask_score_threshold:
        return None
    moved = move_edge(photo[soft.rows, soft.columns], soft, coarse_side=COARSE_SIDE)
    x, y, width, height = box
    part = np.s_[max(round(y), 0) : max(round(y + height), 0), max(round(x), 0) : max(round(x + width), 0)]
    for values in (moved, soft.values):
        mask = np.zeros(photo.shape[:2], dtype=np.bool_)
        mask[soft.rows, soft.columns] = values > 0.5
        inside = mask[part].copy()
        _, _, across, down = tight_box(encode(inside)) if inside.any() else (0, 0, 0, 0)
        if across * down and across * down >= settings.iou_threshold * inside.size:
            mask[:] = False
            mask[part] = _filling(inside)
            return encode(mask)
    return None


def _filling(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask in its box, stretched until it touches all sides: the labelled box stays the box of the object."""
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    tight = inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.uint8)
    return np.asarray(cv2.resize(tight, inside.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0, dtype=np.bool_)


def _with_mask(row: CocoAnnotation, mask: Rle | None) -> CocoAnnotation:
    return row if mask is None else {**row, "segmentation": {**mask}, "area": float(mask_area(mask))}
