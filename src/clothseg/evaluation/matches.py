"""How detections match the objects, photo by photo, from the records that COCO's evaluators keep.

The records of all photos at once take far more memory than the masks. So an evaluator runs on a chunk of photos at a
time, and only what ranking needs is kept: a score and 20 bits for each detection.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clothseg.evaluation.columns import ResultColumns
from clothseg.evaluation.truth import GroundTruth
from clothseg.instances import CocoAnnotation, CocoImage, CocoResult

PHOTOS_PER_CHUNK = 250
THRESHOLDS = 10  # IoU .50:.05:.95
Records = Iterable[Mapping[str, Any] | None]
"""An evaluator's `evalImgs`: one record per class, area range and photo."""


@dataclass(frozen=True)
class ClassMatches:
    """How the detections of one class match the objects, over all photos.

    Attributes:
        photo: `[D]` int, position of each detection's photo.
        scores: `[D]` float. The detections of a photo are consecutive, highest score first, photos in order.
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
        """The same, with the detections of all photos by falling score."""
        order = np.argsort(-self.scores, kind="stable")
        return ClassMatches(
            self.photo[order], self.scores[order], self.hits[:, order], self.ignored[:, order], self.objects
        )


def class_matches(
    truth: GroundTruth,
    rows: Sequence[CocoResult],
    records: Callable[[GroundTruth, Sequence[CocoResult]], Records],
) -> dict[int, ClassMatches]:
    """The matches of every class by category id, over objects of all sizes.

    Args:
        truth: the ground truth.
        rows: checked results.
        records: returns an evaluator's records (`evalImgs`) for a chunk of photos.
    """
    place = {photo: position for position, photo in enumerate(truth.photos)}
    photos: dict[int, list[int]] = {c: [] for c in truth.names}
    parts: dict[int, list[tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]]] = {
        c: [] for c in truth.names
    }
    objects = {c: np.zeros(len(place), dtype=np.int64) for c in truth.names}
    for chunk, chunk_rows in photo_chunks(truth, rows):
        found = [r for r in records(chunk, chunk_rows) if r is not None and r["aRng"][0] == 0 and r["aRng"][1] > 1e9]
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


def photo_chunks(
    truth: GroundTruth, rows: Sequence[CocoResult], size: int = PHOTOS_PER_CHUNK
) -> Iterator[tuple[GroundTruth, Sequence[CocoResult]]]:
    """Ground truth and results of `size` photos at a time, by rising photo id; rows of a photo keep their order."""
    chunk = {photo: position // size for position, photo in enumerate(truth.photos)}
    count = -(-len(chunk) // size)
    images: list[list[CocoImage]] = [[] for _ in range(count)]
    annotations: list[list[CocoAnnotation]] = [[] for _ in range(count)]
    for image in truth.images:
        images[chunk[image["id"]]].append(image)
    for annotation in truth.annotations:
        annotations[chunk[annotation["image_id"]]].append(annotation)
    found = _chunks_of_rows(rows, chunk, count)
    for number in range(count):
        yield GroundTruth(images[number], annotations[number], truth.categories), next(found)


def _chunks_of_rows(rows: Sequence[CocoResult], chunk: Mapping[int, int], count: int) -> Iterator[Sequence[CocoResult]]:
    """The rows of each of `count` chunks; `chunk` has the number of the chunk by the photo's id."""
    if isinstance(rows, ResultColumns):
        numbers = np.array([chunk[photo] for photo in rows.photos.tolist()], dtype=np.int64)
        order = np.argsort(numbers, kind="stable")
        for part in np.split(order, np.searchsorted(numbers[order], np.arange(1, count))):
            yield rows.take(part)
        return
    found: list[list[CocoResult]] = [[] for _ in range(count)]
    for row in rows:
        found[chunk[row["image_id"]]].append(row)
    yield from found
