"""Chooses the photos on a page, so that good examples do not dominate."""

from collections.abc import Sequence

import numpy as np

from clothseg.counting import spread
from clothseg.evaluation.greedy_match import greedy_match
from clothseg.evaluation.truth import GroundTruth
from clothseg.instances import CocoAnnotation, CocoImage, CocoResult, Instances, mask_iou
from clothseg.report.reading import results_by_photo, to_instances


def agreement(found: Instances, truth: Instances) -> float:
    """How well the detections and the ground truth of one photo agree, in 0..1.

    Each detection, highest score first, takes the free object of its class that it overlaps most. The sum of the IoUs
    of these pairs is divided by the number of pairs, missed objects and detections without an object. Crowds do not
    count, nor do detections of which half lies on a crowd. A photo without objects and without detections has 1.
    """
    order = np.argsort(-found.scores.numpy(), kind="stable")
    crowd = truth.crowd.numpy()
    iou = mask_iou(found.masks.rle(), truth.masks.rle(), crowd.tolist())[order]
    same_class = found.classes.numpy()[order][:, None] == truth.classes.numpy()[None, :]
    matched = greedy_match(iou, same_class & ~crowd & (iou > 0), 0.0)
    paired = matched >= 0
    on_crowd = ((iou >= 0.5) & crowd).any(axis=1)
    pairs = iou[paired, matched[paired]].tolist()
    unmatched = int((~paired & ~on_crowd).sum())
    missed = int((~crowd).sum()) - len(pairs)
    counted = len(pairs) + unmatched + missed
    return sum(pairs) / counted if counted else 1.0


def ranked_photos(
    truth: GroundTruth, predictions: Sequence[CocoResult], threshold: float
) -> list[tuple[float, CocoImage]]:
    """Every photo with its agreement, best first; only detections with a score of at least `threshold` count."""
    results = results_by_photo(truth.images, [row for row in predictions if row["score"] >= threshold])
    objects = truth.for_masks.by_photo
    scored = [
        (agreement(to_instances(results[image["id"]], image), to_instances(objects[image["id"]], image)), image)
        for image in truth.images
    ]
    return sorted(scored, key=lambda pair: -pair[0])


def ends_and_between(count: int, share: int) -> list[int]:
    """Positions out of `count`: the first `share`, `share` spread between, and the last `share`; or all of a few."""
    if count <= 3 * share:
        return list(range(count))
    between = [share + position for position in spread(count - 2 * share, share)]
    return [*range(share), *between, *range(count - share, count)]


def sample_of_classes(truth: GroundTruth, wanted: int, *, crowds: bool = True) -> list[CocoImage]:
    """At most `wanted` photos with objects: the same number for each class, spread over the dataset.

    With `crowds`, photos on which a class is only in a crowd are among them.
    """
    queues = []
    for class_id in sorted(truth.names):
        having = [image for image in truth.images if _shows(class_id, truth.by_photo[image["id"]], crowds=crowds)]
        queues.append([having[position] for position in spread(len(having), wanted)])
    chosen: dict[int, CocoImage] = {}
    share = -(-wanted // max(len(queues), 1))
    for queue in queues:
        unused = [image for image in queue if image["id"] not in chosen]
        for position in spread(len(unused), share):
            chosen[unused[position]["id"]] = unused[position]
    return list(chosen.values())[:wanted]


def _shows(class_id: int, annotations: Sequence[CocoAnnotation], *, crowds: bool) -> bool:
    return any(row["category_id"] == class_id and (crowds or not row.get("iscrowd")) for row in annotations)
