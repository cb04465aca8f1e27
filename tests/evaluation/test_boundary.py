"""Boundary AP against pycocotools with an IoU of contours made by erosion."""

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from clothseg.evaluation import evaluate_coco
from clothseg.instances import Rle, decode, encode

from .conftest import generated, referee

Tree = dict[str, Any]
NOTE = "vernier is not installed, so boundary AP is left out (pip install vernier)."


def band(rle: Rle) -> Rle:
    """The pixels of a mask that erosion removes; the photo's edge counts as outside."""
    mask = decode(rle).astype(np.uint8)
    width = max(round(0.02 * float(np.hypot(*mask.shape))), 1)
    framed = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    inside = cv2.erode(framed, np.ones((3, 3), np.uint8), iterations=width)[1:-1, 1:-1]
    return encode((mask - inside).astype(bool))


def boundary_precision(truth: Tree, results: list[Tree]) -> NDArray[np.float64]:
    """Precision `[T, R, K, A, M]` of pycocotools with boundary IoU instead of mask IoU."""
    from pycocotools import mask as masks
    from pycocotools.cocoeval import COCOeval

    class Boundaries(COCOeval):  # type: ignore[misc]
        def computeIoU(self, image: int, class_id: int) -> Any:  # noqa: N802
            found = sorted(self._dts[image, class_id], key=lambda d: -d["score"])[: self.params.maxDets[-1]]
            objects = self._gts[image, class_id]
            if not found or not objects:
                return []
            crowd = [o["iscrowd"] for o in objects]
            both = [[r["segmentation"] for r in rows] for rows in (found, objects)]
            inside = masks.iou(*both, crowd)
            contours = masks.iou(*([band(rle) for rle in rows] for rows in both), crowd)
            return np.where(np.array(crowd) == 1, inside, np.minimum(inside, contours))

    return np.asarray(referee(truth, results, "segm", Boundaries)[1])


@pytest.mark.parametrize("seed", range(3))
def test_boundary_metrics_equal_the_referee(seed: int) -> None:
    truth, results = generated(seed, photos=8)
    metrics = evaluate_coco(truth, results, resamples=0)
    precision = boundary_precision(truth, results)[..., -1]
    pairs = {"boundary_AP": precision[..., 0], "boundary_AP50": precision[0, ..., 0]}
    pairs |= {"boundary_AP75": precision[5, ..., 0], "boundary_AP_medium": precision[..., 2]}
    for name, values in pairs.items():
        assert metrics.overall[name] == pytest.approx(values[values > -1].mean(), abs=1e-9), name
    for position, class_id in enumerate((2, 5, 7)):
        ours = metrics.classes[f"class {class_id}"].values["boundary_AP"]
        assert ours == pytest.approx(precision[:, :, position, 0].mean(), abs=1e-9)
    assert metrics.overall["boundary_AP"] < metrics.overall["mask_AP"]  # type: ignore[operator]


def test_without_the_library_boundary_metrics_have_no_value_and_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    truth, results = generated(0, photos=8)
    whole = evaluate_coco(truth, results, resamples=5)
    monkeypatch.setattr("clothseg.evaluation.evaluate.is_installed", lambda package: package != "vernier")
    metrics = evaluate_coco(truth, results, resamples=5)
    for name, value in whole.overall.items():
        assert metrics.overall[name] == (None if name.startswith("boundary") else value), name
    assert metrics.intervals == {name: i for name, i in whole.intervals.items() if not name.startswith("boundary")}
    assert set(metrics.notes) - set(whole.notes) == {NOTE}
    assert NOTE in metrics.table()
    boxes = [{key: value for key, value in row.items() if key != "segmentation"} for row in results]
    assert NOTE not in evaluate_coco(truth, boxes, resamples=0).notes, "without masks there is nothing to install"
