"""Compares an exported network with PyTorch, photo by photo."""

from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from clothseg.counting import counted
from clothseg.exported.model import ExportedModel
from clothseg.instances import ArrayInstances, Instances, mask_iou, to_array
from clothseg.photos import RgbImage

if TYPE_CHECKING:
    from clothseg.models import Model

BOX, SCORE, MASK = 0.5, 1e-3, 0.99
"""A detection is the same up to these: pixels of each side, score, mask IoU."""


@dataclass(frozen=True)
class CheckedPhoto:
    """How the detections on one photo differ.

    Attributes:
        name: of the photo.
        found: detections with PyTorch.
        changed: detections of one that the other does not have, up to the limits above.
        box: largest difference of a side of the others, in pixels.
        score: largest difference of their scores.
        mask: lowest IoU of their masks.
    """

    name: str
    found: int
    changed: int
    box: float = 0.0
    score: float = 0.0
    mask: float = 1.0


@dataclass(frozen=True)
class CheckResult:
    """How an exported network differs from PyTorch.

    Attributes:
        photos: one entry each.
    """

    photos: list[CheckedPhoto]

    @property
    def changed(self) -> int:
        """Detections that only one of both has."""
        return sum(photo.changed for photo in self.photos)

    def summary(self) -> str:
        """For people: one line."""
        found = sum(photo.found for photo in self.photos)
        if not found and not self.changed:
            photos = counted(len(self.photos), "photo")
            return f"nothing to compare: neither finds anything on {photos}; take photos of what the network finds"
        box, score = max((p.box for p in self.photos), default=0.0), max((p.score for p in self.photos), default=0.0)
        mask = min((p.mask for p in self.photos), default=1.0)
        same = "the same detections" if not self.changed else f"{counted(self.changed, 'detection')} changed"
        return (
            f"{same} on {counted(len(self.photos), 'photo')} ({found} with PyTorch); largest "
            f"differences: boxes {box:.3f} pixels, scores {score:.1e}, masks {1 - mask:.4f} (1 - IoU)"
        )


def check_photos(model: "Model", exported: ExportedModel, photos: Iterable[tuple[str, RgbImage]]) -> CheckResult:
    """Compares the detections of both on photos, and on a few of extreme shapes.

    Masks are compared as the networks give them: where `inference.refine_edges` moves an edge to one side or the other
    may depend on the last digit.
    """
    model, exported = copy(model), copy(exported)
    model.config = model.config.changed("inference", refine_edges=False)
    exported.metadata = replace(exported.metadata, refine_edges=False)
    checked = []
    for name, photo in (*extreme_photos(), *photos):
        checked.append(compare(name, model.predict(photo), exported.find(photo)))
    return CheckResult(checked)


def extreme_photos() -> Iterator[tuple[str, RgbImage]]:
    """Yields photos with which computations fail most easily: one pixel, a line, black, noise."""
    yield "1 x 1", np.full((1, 1, 3), 128, dtype=np.uint8)
    yield "3000 x 2", np.full((2, 3000, 3), 90, dtype=np.uint8)
    yield "black", np.zeros((300, 200, 3), dtype=np.uint8)
    yield "noise", np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)


def compare(name: str, expected: Instances, found: ArrayInstances) -> CheckedPhoto:
    """Pairs the detections of both, of one class each, and measures how they differ."""
    boxes, scores, labels = (to_array(t) for t in (expected.boxes, expected.scores, expected.classes))
    runs, other_runs = expected.masks.rle(), found.masks.rle()
    iou = mask_iou(runs, other_runs)
    free = set(range(len(found)))
    same: list[tuple[float, float, float]] = []
    for row in range(len(expected)):
        pairs = []
        for other in free:
            if labels[row] != found.classes[other]:
                continue
            equal = runs[row]["counts"] == other_runs[other]["counts"]
            values = (
                float(np.abs(boxes[row] - found.boxes[other]).max()),
                float(abs(scores[row] - found.scores[other])),
                1.0 if equal else float(iou[row, other]),
            )
            if values[0] <= BOX and values[1] <= SCORE and values[2] >= MASK:
                pairs.append((values, other))
        if pairs:
            best, other = min(pairs)
            free.remove(other)
            same.append(best)
    changed = len(expected) - len(same) + len(free)
    if not same:
        return CheckedPhoto(name, len(expected), changed)
    box, score, mask = zip(*same, strict=True)
    return CheckedPhoto(name, len(expected), changed, max(box), max(score), min(mask))
