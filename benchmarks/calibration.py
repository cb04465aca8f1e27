"""How well scores say what is right, and which sign finds bad masks: for a run and its validation photos.

Expected calibration error, Brier score and cross entropy of the network's own scores, and cross-fitted over photos:
with a temperature alone, and with temperature and offset. Then the AUROC of signs for masks with an IoU below 0.75.

    python benchmarks/calibration.py runs/first data/clothes --record
"""

import argparse
from collections import defaultdict
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray

from bench_tools import add_record_options, record
from clothseg.dataset import CocoLikeDataset
from clothseg.evaluation import calibration, truth_of
from clothseg.evaluation.calibrated_results import class_numbers, judged_results
from clothseg.evaluation.reliability import Judged, reliability
from clothseg.evaluation.results import detections
from clothseg.evaluation.truth import GroundTruth
from clothseg.instances import CocoResult, decode, encode, mask_iou
from clothseg.instances.calibration import OFFSETS, logit
from clothseg.models import Model

Floats = NDArray[np.float64]


class Mirrored:
    """Detects on mirrored photos."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def detect(self, images: list[torch.Tensor]) -> list[Any]:
        """The instances on the mirrored photos, in their pixels."""
        return self.model.detect([image.flip(-1) for image in images])


def main() -> None:
    """Prints the figures, and records them if that is wanted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", type=Path)
    parser.add_argument("data", nargs="?", type=Path)
    add_record_options(parser)
    options = parser.parse_args()
    if options.data is None:
        print("name a run and a dataset: python benchmarks/calibration.py RUN DATA")
        return
    model = Model.load(options.run)
    model.calibration = None
    val = CocoLikeDataset().load_data(options.data, "val").prepare()
    truth = truth_of(val)
    rows = [row for of_photo in model.predict_dataset(val) for row in of_photo]
    mirrored = [row for of_photo in detections(Mirrored(model), val, model.classes) for row in of_photo]
    judged = judged_results(truth, rows, model.classes)
    named: dict[str, Floats] = {"own scores": judged.scores}
    named["temperature"] = fitted(judged, len(model.classes), len(val), offsets=(0.0, 0.0))
    named["temperature and offset"] = fitted(judged, len(model.classes), len(val))
    for name, scores in named.items():
        for metric, value in errors(judged, scores).items():
            print(f"{name:24s} {metric:26s} {value:.3f}")
            record(options, f"{name}: {metric}", value, "", f"{options.run.name}, {len(judged)} detections")
    for name, value in signs(truth, rows, mirrored, class_numbers(truth, model.classes)).items():
        print(f"{name:51s} {value:.3f}")
        record(options, f"AUROC, IoU below 0.75: {name}", value, "", options.run.name)


def fitted(judged: Judged, classes: int, photos: int, offsets: tuple[float, float] | None = None) -> Floats:
    """Cross-fitted scores; `offsets` are the limits of the offset."""
    with patch("clothseg.evaluation.calibration.OFFSETS", offsets or OFFSETS):
        return calibration.cross_fitted_scores(judged, classes, photos)


def errors(judged: Judged, scores: Floats) -> dict[str, float]:
    """The figures of some scores, by name."""
    found = reliability(scores, judged.right)
    assert found is not None
    logits = logit(scores)
    entropy = float(np.mean(np.logaddexp(0, logits) - judged.right * logits))
    return {"expected calibration error": found.expected_error, "Brier score": found.brier, "cross entropy": entropy}


def signs(
    truth: GroundTruth, rows: list[CocoResult], mirrored: list[CocoResult], numbers: dict[int, int]
) -> dict[str, float]:
    """AUROC of each sign over detections with a score of 0.3 or more."""
    by_photo: dict[int, list[CocoResult]] = defaultdict(list)
    for row in mirrored:
        by_photo[row["image_id"]].append(row)
    own_by_photo: dict[int, list[CocoResult]] = defaultdict(list)
    for row in rows:
        own_by_photo[row["image_id"]].append(row)
    values: dict[str, list[float]] = defaultdict(list)
    bad: list[bool] = []
    for row in rows:
        if row["score"] < 0.3:
            continue
        photo, label = row["image_id"], row["category_id"]
        objects = [a["segmentation"] for a in truth.by_photo[photo] if a["category_id"] == label]
        bad.append(best_iou(row, objects) < 0.75)
        twins = [encode(decode(m["segmentation"])[:, ::-1]) for m in by_photo[photo] if m["category_id"] == label]
        twin = best_iou(row, twins)
        others = [other["segmentation"] for other in own_by_photo[photo] if other is not row]
        mask = decode(row["segmentation"])
        values["low score"].append(-row["score"])
        values["low IoU with the mirrored view"].append(-twin)
        values["low score times IoU with the mirrored view"].append(-row["score"] * twin)
        values["high IoU with another detection"].append(best_iou(row, others))
        values["touches the edge"].append(float(mask[[0, -1]].any() or mask[:, [0, -1]].any()))
        values["small mask"].append(-float(mask.mean()))
    return {name: auroc(np.array(found), np.array(bad)) for name, found in values.items()}


def best_iou(row: CocoResult, masks: list[Any]) -> float:
    """The highest mask IoU of a detection with some masks."""
    return float(mask_iou([row["segmentation"]], masks).max()) if masks else 0.0


def auroc(values: Floats, bad: NDArray[np.bool_]) -> float:
    """How often a bad one has a higher value than a good one; equal ones count half."""
    if bad.all() or not bad.any():
        return float("nan")
    difference = values[bad][:, None] - values[~bad][None, :]
    return float(np.mean((difference > 0) + 0.5 * (difference == 0)))


if __name__ == "__main__":
    main()
