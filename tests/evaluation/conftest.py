"""Generated and hand-made datasets with detections, and pycocotools as the referee."""

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from clothseg.dataset import CocoLikeDataset
from clothseg.instances import Instances, Rle, encode, mask_area, tight_box

Tree = dict[str, Any]
PLACE, NEAR, FAR = [20.0, 20, 40, 40], [40.0, 20, 40, 40], [120.0, 120, 40, 40]  # NEAR overlaps PLACE by a third
A, B = 1, 2


def planted() -> tuple[Tree, list[Any]]:
    """Photos 1 and 8 are right; 2 class, 3 location, 4 both, 5 duplicate, 6 background, 7 missed; 9 is empty."""
    objects = [(1, A), (2, A), (3, A), (4, A), (5, A), (7, A), (8, B)]
    found = [
        (1, A, PLACE, 0.9),
        (2, B, PLACE, 0.95),
        (3, A, NEAR, 0.85),
        (4, B, NEAR, 0.84),
        (5, A, PLACE, 0.7),
        (5, A, PLACE, 0.65),
        (6, A, FAR, 0.8),
        (8, B, PLACE, 0.5),
    ]
    truth = {
        "images": [{"id": n, "height": 200, "width": 200} for n in range(1, 10)],
        "annotations": [
            {"id": n, "image_id": photo, "category_id": c, "bbox": PLACE, "area": 1600.0, "iscrowd": 0}
            for n, (photo, c) in enumerate(objects, 1)
        ],
        "categories": [{"id": A, "name": "A"}, {"id": B, "name": "B"}],
    }
    keys = ("image_id", "category_id", "bbox", "score")
    return truth, [dict(zip(keys, row, strict=True)) for row in found]


def rectangle(x: int, y: int, w: int, h: int, size: tuple[int, int]) -> Rle:
    mask = np.zeros(size, dtype=bool)
    mask[y : y + h, x : x + w] = True
    mask[y : y + h // 2, x : x + w // 3] = False  # a notch, so that box and mask differ
    return encode(mask)


def generated(seed: int, photos: int = 6, ties: bool = True) -> tuple[Tree, list[Any]]:
    """Ground truth with crowds, small to large objects and unsorted class ids, and detections near the objects."""
    rng = np.random.default_rng(seed)
    size = (160, 200)
    classes = [7, 2, 5]
    annotations: list[Tree] = []
    results: list[Tree] = []
    for photo in range(photos):
        for _ in range(int(rng.integers(0, 7))):
            w, h = (int(v) for v in rng.choice([9, 25, 45, 110], 2))
            x, y = int(rng.integers(0, size[1] - w)), int(rng.integers(0, size[0] - h))
            rle = rectangle(x, y, w, h, size)
            class_id = int(rng.choice(classes))
            annotations.append(
                {"id": len(annotations), "image_id": photo * 3, "category_id": class_id, "segmentation": rle}
                | {"area": mask_area(rle), "bbox": list(tight_box(rle)), "iscrowd": int(rng.random() < 0.15)}
            )
            for _ in range(int(rng.integers(0, 4))):
                moved = rectangle(
                    max(x + int(rng.integers(-4, 5)), 0), max(y + int(rng.integers(-4, 5)), 0), w, h, size
                )
                score = float(rng.random())
                found: Tree = {
                    "image_id": photo * 3,
                    "category_id": class_id if rng.random() < 0.8 else int(rng.choice(classes)),
                }
                found |= {"segmentation": moved, "bbox": list(tight_box(moved))}
                results.append(found | {"score": round(score, 1) if ties else score})
    truth: Tree = {
        "images": [{"id": photo * 3, "height": size[0], "width": size[1]} for photo in range(photos)],
        "annotations": annotations,
        "categories": [{"id": c, "name": f"class {c}"} for c in classes],
    }
    return truth, results


def referee(
    truth: Tree, results: list[Tree], kind: str, evaluator_class: Callable[..., Any] | None = None
) -> tuple[list[float], Any]:
    """The twelve metrics of pycocotools, or of a subclass of its evaluator, and its precision array `[T, R, K, A, M]`.

    Annotation ids start at 1, because with 0 it is wrong.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        ground = COCO()
        ground.dataset = truth | {"annotations": [a | {"id": a["id"] + 1} for a in truth["annotations"]]}
        ground.createIndex()
        dropped = {"segm": "bbox", "bbox": "segmentation"}[kind]
        found = ground.loadRes([{k: v for k, v in r.items() if k != dropped} for r in results])
        evaluator = (evaluator_class or COCOeval)(ground, found, kind)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return [float(v) for v in evaluator.stats], evaluator.eval["precision"]


SQUARE = np.zeros((40, 50), dtype=bool)
SQUARE[5:30, 8:33] = True


def square_truth() -> Tree:
    """One Suit with the mask `SQUARE` on photo 3."""
    rle = encode(SQUARE)
    annotation = {"id": 1, "image_id": 3, "category_id": 2, "segmentation": rle, "bbox": list(tight_box(rle))}
    return {
        "images": [{"id": 3, "height": 40, "width": 50}],
        "annotations": [annotation],
        "categories": [{"id": 2, "name": "Suit"}],
    }


def square_result(**change: Any) -> Tree:
    """The detection of that Suit; a field is replaced by `change`, or left out if it is `...`."""
    rle = encode(SQUARE)
    row = {"image_id": 3, "category_id": 2, "score": 0.5, "segmentation": rle, "bbox": list(tight_box(rle))} | change
    return {key: value for key, value in row.items() if value is not ...}


class PerfectDetector:
    """Finds the first `limit` objects of each photo; the red value of a photo's first pixel is its position."""

    def __init__(self, dataset: CocoLikeDataset, limit: int) -> None:
        self.dataset, self.limit = dataset, limit

    def detect(self, images: list[Tensor]) -> list[Instances]:
        return [self.dataset.load_instances(int(i[0, 0, 0]))[: self.limit] for i in images]


@pytest.fixture
def dataset(tmp_path: Path) -> CocoLikeDataset:
    tree: dict[str, list[dict[str, object]]] = {"images": [], "annotations": [], "categories": []}
    tree["categories"] = [{"id": 4, "name": "Suit"}, {"id": 9, "name": "Dress"}]
    for photo in range(4):
        Image.fromarray(np.full((60, 90, 3), photo, dtype=np.uint8)).save(tmp_path / f"{photo}.png")
        tree["images"].append({"id": 10 + photo, "file_name": f"{photo}.png", "height": 60, "width": 90})
        for number, class_id in enumerate((4, 9)):
            mask = np.zeros((60, 90), dtype=bool)
            mask[5 : 40 + photo, 2 + 45 * number : 40 + 45 * number] = True
            rle = encode(mask)
            row = {"id": len(tree["annotations"]), "image_id": 10 + photo, "category_id": class_id}
            tree["annotations"].append(row | {"segmentation": rle, "bbox": list(tight_box(rle)), "iscrowd": 0})
    (tmp_path / "val.json").write_text(json.dumps(tree))
    return CocoLikeDataset().load_data(tmp_path, annotations=tmp_path / "val.json").prepare()
