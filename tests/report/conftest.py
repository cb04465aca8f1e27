"""A dataset with photos, and an evaluated run on it."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clothseg.config import Config
from clothseg.evaluation import evaluate_coco
from clothseg.instances import encode, mask_area, tight_box

Tree = dict[str, Any]
NAMES = ["Suit", "Dress", "<b>Jeans & more</b>"]
LOSSES = ("total", "rpn_class", "rpn_bbox", "class", "bbox", "mask")


def make_split(data: Path, split: str, photos: int, rng: np.random.Generator) -> Tree:
    annotations: list[Tree] = []
    images: list[Tree] = []
    for photo in range(photos):
        height, width = int(rng.integers(60, 120)), int(rng.integers(60, 120))
        name = f"{split}-{photo}.png"
        Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8)).save(data / "images" / name)
        images.append({"id": photo, "file_name": name, "height": height, "width": width})
        mask = np.zeros((height, width), dtype=bool)
        mask[10:50, 8:40] = True
        rle = encode(mask)
        annotation = {"image_id": photo, "category_id": photo % 3 + 1, "segmentation": rle, "area": mask_area(rle)}
        annotations.append(annotation | {"id": photo, "bbox": list(tight_box(rle)), "iscrowd": int(photo == 6)})
    categories = [{"id": i, "name": name} for i, name in enumerate(NAMES, 1)]
    tree = {"images": images, "annotations": annotations, "categories": categories}
    (data / "annotations" / f"{split}.json").write_text(json.dumps(tree))
    return tree


@pytest.fixture
def data(tmp_path: Path) -> Path:
    data = tmp_path / "clothes data"
    for folder in ("images", "annotations"):
        (data / folder).mkdir(parents=True)
    make_split(data, "train", 9, np.random.default_rng(0))
    make_split(data, "val", 16, np.random.default_rng(1))
    (data / "dataset.yaml").write_text("source: </pre><script>alert(1)</script>\n")
    return data


@pytest.fixture
def run(tmp_path: Path, data: Path) -> Path:
    """A Suit has a score below 0.5 everywhere, and is found as a Dress on the first photo."""
    run = tmp_path / "first run"
    run.mkdir()
    truth = json.loads((data / "annotations" / "val.json").read_text())
    found = [a | {"score": 0.9 if a["category_id"] > 1 else 0.2} for a in truth["annotations"]]
    found[0] |= {"category_id": 2}
    (run / "predictions.json").write_text(json.dumps(found))
    (run / "metrics.json").write_text(evaluate_coco(truth, found, resamples=50).to_json())
    (run / "metrics-initial.json").write_text(evaluate_coco(truth, [], resamples=0).to_json())
    (run / "config.yaml").write_text(Config().to_yaml())
    columns = [f"{split}_{loss}" for split in ("train", "val") for loss in LOSSES]
    with (run / "history.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", "step", "learning_rate", "seconds", *columns])
        writer.writerow([1, 20, 0.001, 3.2, *[1.0] * 6, *[""] * 6])
        writer.writerow([2, 40, 0.001, 3.2, *[0.5] * 6, *["nan"] * 6])
    facts = {
        "classes": NAMES,
        "device": "cpu",
        "weights": "ImageNet",
        "parameters": {"total": 1234567, "trained": 1000},
        "frozen": "the stem",
        "steps": 40,
        "photos": {"train": 9, "val": 16},
        "timings": {"train": 231.0, "evaluate": 4.25},
        "versions": {"clothseg": "9.8.7"},
    }
    (run / "run.json").write_text(json.dumps(facts))
    return run
