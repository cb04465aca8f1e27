"""Which photos a page shows, so that the good ones do not stand for all."""

from collections.abc import Sequence

import numpy as np

from clothseg.instances import Instances, mask_iou
from clothseg.report.reading import Row, Truth, by_photo, to_instances


def agreement(found: Instances, truth: Instances) -> float:
    """How well detections and truth of one photo agree, in 0..1.

    Detections are paired with objects of their class, best score first, each with the free object that it overlaps
    most. Summed IoU of the pairs is divided by the number of pairs, of missed objects and of detections without a pair.
    Crowds, and detections that lie on one by half, do not count. Nothing found where nothing is counts as 1.
    """
    overlap = mask_iou(found.masks.rle(), truth.masks.rle(), truth.crowd.tolist())
    crowd = truth.crowd.numpy()
    same = found.classes.numpy()[:, None] == truth.classes.numpy()[None, :]
    free = ~crowd
    pairs: list[float] = []
    alone = 0
    for position in np.argsort(-found.scores.numpy(), kind="stable"):
        gains = np.where(same[position] & free, overlap[position], 0.0)
        if gains.size and gains.max() > 0:
            pairs.append(float(gains.max()))
            free[gains.argmax()] = False
        elif not (overlap[position][crowd] >= 0.5).any():
            alone += 1
    counted = len(pairs) + alone + int(free.sum())
    return sum(pairs) / counted if counted else 1.0


def ranked_photos(truth: Truth, predictions: Sequence[Row], threshold: float) -> list[tuple[float, Row]]:
    """Every photo with the agreement of its truth and its detections from `threshold` on, best first."""
    results = by_photo(truth.images, [row for row in predictions if row["score"] >= threshold])
    scored = [
        (agreement(to_instances(results[image["id"]], image), to_instances(truth.by_photo[image["id"]], image)), image)
        for image in truth.images
    ]
    return sorted(scored, key=lambda pair: -pair[0])


def spread(count: int, wanted: int) -> list[int]:
    """At most `wanted` positions of `count`, the first and the last among them, evenly apart."""
    if count <= wanted:
        return list(range(count))
    return np.linspace(0, count - 1, wanted).round().astype(int).tolist() if wanted > 1 else [0]


def ends_and_between(count: int, share: int) -> list[int]:
    """Positions of `count`: the first `share`, as many spread between, and the last; all where there are no more."""
    if count <= 3 * share:
        return list(range(count))
    between = [share + position for position in spread(count - 2 * share, share)]
    return [*range(share), *between, *range(count - share, count)]


def sample_of_classes(truth: Truth, wanted: int) -> list[Row]:
    """Photos with masks, the classes taking turns, each class's spread over the data set."""
    queues = []
    for class_id in sorted(truth.names):
        having = [im for im in truth.images if any(a["category_id"] == class_id for a in truth.by_photo[im["id"]])]
        queues.append([having[position] for position in spread(len(having), wanted)])
    chosen: dict[int, Row] = {}
    share = -(-wanted // max(len(queues), 1))
    for queue in queues:
        unused = [image for image in queue if image["id"] not in chosen]
        for position in spread(len(unused), share):
            chosen[unused[position]["id"]] = unused[position]
    return list(chosen.values())[:wanted]
