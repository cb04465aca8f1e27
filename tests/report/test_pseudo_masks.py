"""What the report says about masks that a run drew in boxes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clothseg.errors import RunError
from clothseg.report.pseudo_masks import drawn_masks
from clothseg.runs import RunFolder

SQUARE = [[2, 2, 30, 2, 30, 40, 2, 40]]


def masks(folder: Path) -> dict[str, Any]:
    """Three photos: a drawn mask beside a box and a person's mask, a drawn mask, and a box that stayed one."""
    for name in "abc":
        Image.fromarray(np.full((60, 50, 3), 90, dtype=np.uint8)).save(folder / f"{name}.png")
    rows = [
        {"image_id": 1, "category_id": 1, "segmentation": SQUARE, "drawn": 1},
        {"image_id": 1, "category_id": 2, "segmentation": SQUARE, "drawn": 0},
        {"image_id": 1, "category_id": 2, "segmentation": [], "drawn": 0},
        {"image_id": 2, "category_id": 2, "segmentation": SQUARE, "drawn": 1},
        {"image_id": 3, "category_id": 1, "segmentation": [], "drawn": 0},
    ]
    return {
        "info": {"epoch": 6, "boxes": 4, "masks": 2},
        "images": [
            {"id": n, "file_name": str(folder / f"{name}.png"), "height": 60, "width": 50}
            for n, name in enumerate("abc", start=1)
        ],
        "annotations": [
            {"id": n, "iscrowd": 0, "bbox": [2, 2, 28, 38], "area": 1064, **row} for n, row in enumerate(rows, start=1)
        ],
        "categories": [{"id": 1, "name": "Suit"}, {"id": 2, "name": "Dress"}],
    }


def test_photos_with_drawn_masks_are_shown(tmp_path: Path) -> None:
    RunFolder(tmp_path).pseudo_masks.write_text(json.dumps(masks(tmp_path)))
    found = drawn_masks(tmp_path)
    assert found is not None
    assert (found.epoch, found.boxes, found.masks, found.unread) == (6, 4, 2, [])
    assert sorted(photo.text for photo in found.examples) == ["Dress", "Suit, Dress, Dress"]


def test_photos_that_are_gone_are_named(tmp_path: Path) -> None:
    RunFolder(tmp_path).pseudo_masks.write_text(json.dumps(masks(tmp_path)))
    (tmp_path / "b.png").unlink()
    found = drawn_masks(tmp_path)
    assert found is not None and found.unread == [str(tmp_path / "b.png")]


def test_without_a_drawn_mask_there_are_only_numbers(tmp_path: Path) -> None:
    tree = masks(tmp_path)
    tree["info"]["masks"] = 0
    for row in tree["annotations"]:
        row["drawn"] = 0
    RunFolder(tmp_path).pseudo_masks.write_text(json.dumps(tree))
    found = drawn_masks(tmp_path)
    assert found is not None and (found.masks, found.examples) == (0, [])


def test_a_run_without_them_has_no_section(tmp_path: Path) -> None:
    assert drawn_masks(tmp_path) is None


@pytest.mark.parametrize("text", ["", "[]", '{"info": {}}', '{"info": {"epoch": 1, "boxes": 1, "masks": 1}}'])
def test_a_damaged_file_is_named(text: str, tmp_path: Path) -> None:
    RunFolder(tmp_path).pseudo_masks.write_text(text)
    with pytest.raises(RunError, match=r"pseudo-masks\.json"):
        drawn_masks(tmp_path)
