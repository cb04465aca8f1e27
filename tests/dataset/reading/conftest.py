"""A small COCO dataset of two splits, as a folder that tests change."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Tree = dict[str, Any]
SIZE = (60, 80)
"""Height and width of each photo."""
WriteTree = Callable[..., Path]


def square(x: int, y: int, side: int = 20) -> list[float]:
    """The corners of a square, as a polygon."""
    return [x, y, x + side, y, x + side, y + side, x, y + side]


def tree(photos: int = 3, first: int = 1) -> Tree:
    """Two squares on each photo, of classes 1 and 2; annotation ids from 1."""
    images = [{"id": first + n, "file_name": f"{n}.png", "height": SIZE[0], "width": SIZE[1]} for n in range(photos)]
    annotations: list[Tree] = []
    for image in images:
        for class_id, (x, y) in ((1, (5, 8)), (2, (45, 30))):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image["id"],
                    "category_id": class_id,
                    "segmentation": [square(x, y)],
                    "bbox": [x, y, 20, 20],
                    "area": 400,
                    "iscrowd": 0,
                }
            )
    categories = [{"id": 1, "name": "Suit"}, {"id": 2, "name": "Dress"}]
    return {"images": images, "annotations": annotations, "categories": categories}


def draw(path: Path, seed: int) -> Path:
    """Writes a photo of `SIZE`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize(SIZE[::-1], Image.Resampling.BICUBIC).save(path)
    return path


def write_json(path: Path, content: Any) -> Path:
    """Writes JSON, with NaN as Python writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def dataset(tmp_path: Path) -> Callable[[Callable[[Tree], Any]], Path]:
    """Writes a dataset whose train.json a function has changed; returns its folder."""

    def make(change: Callable[[Tree], Any] = lambda tree: None) -> Path:
        folder = tmp_path / "d"
        for seed in range(3):
            draw(folder / "images" / f"{seed}.png", seed)
        changed = copy.deepcopy(tree())
        answer = change(changed)
        write_json(folder / "annotations" / "train.json", answer if isinstance(answer, dict) else changed)
        return folder

    return make
