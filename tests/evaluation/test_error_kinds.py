"""The kind of error of each detection, against the counts of the library, and by hand."""

from collections import Counter

import numpy as np
import pytest

from clothseg.evaluation import coco
from clothseg.evaluation.error_kinds import DetectionError, detection_errors
from clothseg.evaluation.truth import read_truth
from clothseg.instances import mask_iou

from .conftest import generated


@pytest.mark.parametrize("seed", range(12))
def test_errors_photo_by_photo_add_up_to_the_counts_of_the_library(seed: int) -> None:
    tree, results = generated(seed, photos=8, ties=False)
    truth = read_truth(tree | {"annotations": [a | {"iscrowd": 0} for a in tree["annotations"]]})
    counted = {name: kind.count for name, kind in coco.tide_errors(coco.run_evaluator(truth, results, "mask")).items()}
    ours: Counter[str] = Counter(dict.fromkeys(counted, 0))
    for photo in truth.photos:
        found = sorted((r for r in results if r["image_id"] == photo), key=lambda r: -r["score"])
        objects = [a for a in truth.annotations if a["image_id"] == photo]
        iou = mask_iou([r["segmentation"] for r in found], [a["segmentation"] for a in objects])
        labels, classes = (np.array([r["category_id"] for r in rows], dtype=np.int64) for rows in (found, objects))
        ours.update(e.kind for e in detection_errors(iou, labels, classes, np.zeros(len(objects), dtype=bool)))
    assert dict(ours) == counted


def test_an_error_names_its_detection_its_object_and_their_iou() -> None:
    iou = np.array([[0.8, 0.0, 0.0], [0.6, 0.0, 0.0], [0.0, 0.3, 0.0], [0.05, 0.7, 0.0], [0.0, 0.0, 0.9]])
    found, classes = np.array([1, 1, 1, 1, 1]), np.array([1, 2, 1])
    crowd = np.array([False, False, True])
    assert detection_errors(iou, found, classes, crowd) == [
        DetectionError("duplicate", 1, 0, 0.6),
        DetectionError("both", 2, 1, 0.3),
        DetectionError("class", 3, 1, 0.7),  # so object 1 is not missed; detection 4 lies on a crowd
    ]
    nothing = np.zeros((0, 0)), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=bool)
    assert detection_errors(*nothing) == []
    alone = detection_errors(np.zeros((1, 0)), np.array([1]), nothing[2], nothing[3])
    assert alone == [DetectionError("background", 0, None, 0.0)]
    unseen = detection_errors(np.zeros((0, 1)), nothing[1], np.array([1]), np.array([False]))
    assert unseen == [DetectionError("missed", None, 0, 0.0)]
