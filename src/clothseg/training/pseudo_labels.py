"""Labels that a teacher gives to photos: confident detections become objects, uncertain ones ignored regions."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from clothseg.config import UnlabelledSettings
from clothseg.dataset import CocoLikeDataset
from clothseg.errors import RunError
from clothseg.instances import CocoAnnotation, Instances, Rle, best_of_classes, mask_area, tight_box
from clothseg.training.second_opinion import Opinion, Verdict
from clothseg.training.teacher import write_labels

SAME_OBJECT = 0.7
"""Mask IoU from which detections of two classes are one object; the better one is taken."""


@dataclass(frozen=True)
class Candidate:
    """One detection of the teacher.

    Attributes:
        class_id: 1..K.
        score: in 0..1.
        mask_score: the mean, over the pixels of the mask, of the probability that they belong to it.
        mask: of the photo's size.
        doubted: whether a second opinion does not see this object. Then it is ignored, whatever its score.
    """

    class_id: int
    score: float
    mask_score: float
    mask: Rle
    doubted: bool = False


@dataclass(frozen=True)
class Findings:
    """What is known of a photo without labels.

    Attributes:
        candidates: the detections that a second opinion does not contradict; none on an empty photo.
        contradicted: how many it does contradict.
        empty: whether a second opinion sees nothing of the classes there, and has a say on all candidates.
    """

    candidates: list[Candidate] = field(default_factory=list)
    contradicted: int = 0
    empty: bool = False


@dataclass(frozen=True)
class PseudoLabels:
    """What the teacher said about all photos, once.

    Attributes:
        epoch: after which it was asked; 0 if never.
        annotations: for each photo, COCO annotations: objects with `iscrowd` 0, of which those without a mask have an
            empty segmentation, and ignored regions with `iscrowd` 1.
        class_thresholds: by class name, the lowest score of a detection that became an object.
        empty: positions of the photos that are known to show none of the classes.
        contradicted: detections of the teacher that a second opinion takes for other classes.
        rounds: `summary` of each time that the teacher was asked, this one included.
    """

    epoch: int = 0
    annotations: list[list[CocoAnnotation]] = field(default_factory=list)
    class_thresholds: dict[str, float] = field(default_factory=dict)
    empty: list[int] = field(default_factory=list)
    contradicted: int = 0
    rounds: list[dict[str, Any]] = field(default_factory=list)

    @property
    def used(self) -> list[int]:
        """The positions of the photos with an object."""
        return [n for n, rows in enumerate(self.annotations) if any(not row.get("iscrowd") for row in rows)]

    def counts(self) -> dict[str, int]:
        """How many objects with a mask, objects with only a box, and ignored regions there are."""
        rows = [row for of_photo in self.annotations for row in of_photo]
        objects = [row for row in rows if not row.get("iscrowd")]
        masks = sum(bool(row.get("segmentation")) for row in objects)
        return {"masks": masks, "boxes": len(objects) - masks, "ignored": len(rows) - len(objects)}

    def summary(self) -> dict[str, Any]:
        """The epoch, the numbers of photos that teach and of their labels, and the thresholds."""
        return {
            "epoch": self.epoch,
            "photos": len(self.used),
            "empty": len(self.empty),
            **self.counts(),
            "contradicted": self.contradicted,
            "class_thresholds": self.class_thresholds,
        }

    def write(self, path: Path, dataset: CocoLikeDataset) -> None:
        """Writes them as a COCO file of the photos of `dataset` without labels; `info.rounds` has the summaries."""
        annotations: list[CocoAnnotation] = [
            {**row, "id": number} for number, row in enumerate(chain.from_iterable(self.annotations), start=1)
        ]
        info = {"description": "pseudo-labels of a training, not made by people", "rounds": self.rounds}
        write_labels(path, dataset, range(dataset.labelled, len(dataset)), annotations, info)

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return vars(self) if self.epoch else {}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], photos: int) -> "PseudoLabels":
        """The labels in a checkpoint of a training with `photos` photos without labels.

        Raises:
            RunError: it has labels for another number of photos.
        """
        # the name of the thresholds in checkpoints of earlier versions
        labels = cls(**{"class_thresholds" if key == "sure_scores" else key: value for key, value in state.items()})
        if labels.epoch and len(labels.annotations) != photos:
            raise RunError(f"the checkpoint labels {len(labels.annotations)} photos without labels, not {photos}")
        return labels


def find_candidates(found: Instances, settings: UnlabelledSettings) -> list[Candidate]:
    """The detections on a photo that are not background, the better one where two classes claim one object."""
    found = found[found.scores >= settings.ignore_threshold]
    runs = found.masks.rle()
    mask_scores = [_mask_score(one) for one in found]
    staying = best_of_classes(found, runs, SAME_OBJECT).tolist()
    values = zip(found.classes.tolist(), found.scores.tolist(), mask_scores, runs, strict=True)
    return [Candidate(*value) for value, stays in zip(values, staying, strict=True) if stays and mask_area(value[3])]


def judged(
    candidates: Sequence[Candidate], opinion: Opinion, known: Set[int], settings: UnlabelledSettings
) -> Findings:
    """The candidates of a photo after a second opinion, which has no say on classes that are not `known` to it."""
    left, contradicted = [], 0
    for one in candidates:
        verdict = opinion.verdict(one.class_id, one.mask, settings) if one.class_id in known else Verdict.AGREES
        if verdict is Verdict.CONTRADICTS:
            contradicted += 1
        else:
            left.append(replace(one, doubted=verdict is Verdict.DOUBTS))
    empty = all(one.doubted for one in left) and not opinion.sees(known, settings)
    return Findings([] if empty else left, contradicted, empty)


def _mask_score(one: Instances) -> float:
    """The mean probability of the pixels of one object's mask."""
    soft = one.masks.soft()
    inside = soft[soft >= 0.5]
    return float(inside.mean()) if len(inside) else 0.0


def class_thresholds(
    found: Sequence[Sequence[Candidate]], expected: Mapping[int, float], settings: UnlabelledSettings
) -> dict[int, float]:
    """The lowest score of a detection that becomes an object, by class id.

    It is `settings.score_threshold`, or more for a class of which there would be more objects than expected: then only
    as many as expected reach it. So a class that the teacher sees everywhere does not teach its errors, and where the
    teacher gets more confident as it learns, the thresholds rise with it.

    Source: Chen et al., Label Matching Semi-Supervised Object Detection (2022), section 3.2: thresholds for which the
    photos have the distribution of the labels.

    Args:
        found: candidates of each photo.
        expected: by class id, objects on a photo in the labels.
        settings: with the least score.
    """
    scores: dict[int, list[float]] = defaultdict(list)
    for candidate in (one for of_photo in found for one in of_photo if not one.doubted):
        scores[candidate.class_id].append(candidate.score)
    thresholds = {}
    for class_id, on_photo in expected.items():
        ranked, most = sorted(scores[class_id], reverse=True), max(1, math.ceil(on_photo * len(found)))
        reached = ranked[most - 1] if len(ranked) >= most else 0.0
        thresholds[class_id] = max(settings.score_threshold, reached)
    return thresholds


def expected_objects(dataset: CocoLikeDataset) -> dict[int, float]:
    """How many objects of each class 1..K there are on a labelled photo, in the mean; crowds do not count."""
    labelled = dataset.only([entry.id for entry in dataset.images[: dataset.labelled]])
    return {class_id: count / len(labelled) for class_id, count in labelled.count_objects().items()}


def to_annotations(
    found: Sequence[Candidate],
    image_id: int,
    thresholds: Mapping[int, float],
    settings: UnlabelledSettings,
    dataset: CocoLikeDataset,
) -> list[CocoAnnotation]:
    """The candidates of one photo as COCO annotations, with the class ids of `dataset`."""
    rows: list[CocoAnnotation] = []
    for number, one in enumerate(found, start=1):
        is_object = not one.doubted and one.score >= thresholds[one.class_id]
        has_mask = not is_object or one.mask_score >= settings.mask_score_threshold
        rows.append(
            {
                "id": number,
                "image_id": image_id,
                "category_id": dataset.source_class_id(one.class_id),
                "segmentation": {**one.mask} if has_mask else [],
                "bbox": [float(side) for side in tight_box(one.mask)],
                "area": float(mask_area(one.mask)),
                "iscrowd": int(not is_object),
                "score": round(one.score, 4),
            }
        )
    return rows
