"""How detections met the truth, photo by photo, from the records that COCO's evaluators keep.

The records of all photos at once would take far more memory than the masks themselves, so an evaluator is run on some
photos at a time and only what ranking needs is kept: a score and 20 bits for each detection.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clothseg.evaluation.truth import GroundTruth, Row

PHOTOS_TOGETHER = 250
THRESHOLDS = 10  # IoU .50:.05:.95
Records = Iterable[Mapping[str, Any] | None]


@dataclass(frozen=True)
class ClassMatches:
    """How the detections of one class met the truth, over all photos.

    Attributes:
        photo: `[D]` int, position of each detection's photo.
        scores: `[D]` float. Detections of a photo stand together, highest score first, photos in order.
        hits: `[T, D]` bool, matched to an object, for each IoU threshold.
        ignored: `[T, D]` bool, neither right nor wrong (on a crowd).
        objects: `[P]` int, objects of the class on each photo, crowds not counted.
    """

    photo: NDArray[np.int64]
    scores: NDArray[np.float64]
    hits: NDArray[np.bool_]
    ignored: NDArray[np.bool_]
    objects: NDArray[np.int64]

    def ranked(self) -> "ClassMatches":
        """The same with the detections of all photos by falling score."""
        order = np.argsort(-self.scores, kind="stable")
        return ClassMatches(
            self.photo[order], self.scores[order], self.hits[:, order], self.ignored[:, order], self.objects
        )


def class_matches(
    truth: GroundTruth, rows: Sequence[Row], records: Callable[[GroundTruth, Sequence[Row]], Records]
) -> dict[int, ClassMatches]:
    """The matches of every class by category id, over objects of all sizes.

    Args:
        truth: the truth.
        rows: checked results.
        records: gives an evaluator's records (`evalImgs`) for a part of the photos.
    """
    place = {photo: position for position, photo in enumerate(truth.photos)}
    photos: dict[int, list[int]] = {c: [] for c in truth.names}
    parts: dict[int, list[tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]]] = {
        c: [] for c in truth.names
    }
    objects = {c: np.zeros(len(place), dtype=np.int64) for c in truth.names}
    for some_truth, some_rows in some_photos(truth, rows):
        found = [
            r for r in records(some_truth, some_rows) if r is not None and r["aRng"][0] == 0 and r["aRng"][1] > 1e9
        ]
        for record in sorted(found, key=lambda r: place[r["image_id"]]):
            class_id, position = record["category_id"], place[record["image_id"]]
            scores = np.asarray(record["dtScores"], dtype=np.float64)
            hits = np.asarray(record["dtMatches"]).reshape(THRESHOLDS, -1) > 0
            ignored = np.asarray(record["dtIgnore"], dtype=np.bool_).reshape(THRESHOLDS, -1)
            photos[class_id] += [position] * len(scores)
            parts[class_id].append((scores, hits, ignored))
            objects[class_id][position] = len(record["gtIgnore"]) - int(np.sum(record["gtIgnore"]))
    return {c: _joined(photos[c], parts[c], objects[c]) for c in truth.names}


def _joined(
    photos: Sequence[int],
    parts: Sequence[tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]],
    objects: NDArray[np.int64],
) -> ClassMatches:
    nothing = np.zeros((THRESHOLDS, 0), dtype=np.bool_)
    return ClassMatches(
        np.asarray(photos, dtype=np.int64),
        np.concatenate([np.zeros(0), *(scores for scores, _, _ in parts)]),
        np.concatenate([nothing, *(hits for _, hits, _ in parts)], axis=1),
        np.concatenate([nothing, *(ignored for _, _, ignored in parts)], axis=1),
        objects,
    )


def some_photos(
    truth: GroundTruth, rows: Sequence[Row], together: int = PHOTOS_TOGETHER
) -> Iterator[tuple[GroundTruth, list[Row]]]:
    """Truth and results of `together` photos at a time, by rising photo id; rows of a photo keep their order."""
    part = {photo: position // together for position, photo in enumerate(truth.photos)}
    count = -(-len(part) // together)
    images: list[list[Row]] = [[] for _ in range(count)]
    annotations: list[list[Row]] = [[] for _ in range(count)]
    found: list[list[Row]] = [[] for _ in range(count)]
    for source, target, key in ((truth.images, images, "id"), (truth.annotations, annotations, "image_id")):
        for row in source:
            target[part[row[key]]].append(row)
    for row in rows:
        found[part[row["image_id"]]].append(row)
    for number in range(count):
        yield GroundTruth(images[number], annotations[number], truth.categories), found[number]
