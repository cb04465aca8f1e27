"""Three rules to paste small masks, each worked out by hand. `test_masks.py` compares with torchvision."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from clothseg.instances import PasteRule, paste

SIZE = (100, 100)
RULES: tuple[PasteRule, ...] = ("torchvision", "detectron2", "matterport")
FULL = torch.ones(28, 28)


def pasted(probability: Tensor, box: list[float], rule: PasteRule) -> NDArray[np.bool_]:
    """The pasted mask on the whole image."""
    rows, columns, crop = paste(probability, torch.tensor(box), SIZE, 0.5, rule)
    assert crop.shape == (rows.stop - rows.start, columns.stop - columns.start)
    image = np.zeros(SIZE, dtype=bool)
    image[rows, columns] = crop
    return image


@pytest.mark.parametrize(
    ("rule", "top", "bottom"), [("torchvision", 19, 51), ("detectron2", 20, 50), ("matterport", 20, 50)]
)
def test_a_full_map_fills_its_box(rule: PasteRule, top: int, bottom: int) -> None:
    """torchvision first rounds the box with its border of zeros to whole pixels. Here that adds a row at both ends."""
    expected = np.zeros(SIZE, dtype=bool)
    expected[top:bottom, 10:30] = True
    assert np.array_equal(pasted(FULL, [10.0, 20, 30, 50], rule), expected)


@pytest.mark.parametrize(("rule", "counts"), [("torchvision", False), ("detectron2", True), ("matterport", True)])
def test_a_probability_at_the_threshold(rule: PasteRule, counts: bool) -> None:
    """One pixel per cell of the map, so there is no interpolation inside the box."""
    picture = pasted(FULL / 2, [10.0, 20, 38, 48], rule)
    assert picture[21:47, 11:37].all() == counts
    assert picture.any() == counts


@pytest.mark.parametrize("rule", RULES)
def test_a_box_over_the_edge_is_clipped(rule: PasteRule) -> None:
    picture = pasted(FULL, [90.0, 90, 130, 140], rule)
    assert picture[90:, 90:].all()
    assert not picture[:89].any()
    assert not picture[:, :89].any()
    assert not pasted(FULL, [110.0, 20, 130, 50], rule).any()


@pytest.mark.parametrize("rule", RULES)
def test_half_a_map_is_half_a_box(rule: PasteRule) -> None:
    left = FULL.clone()
    left[:, 14:] = 0
    picture = pasted(left, [10.0, 20, 66, 76], rule)
    assert picture[22:74, 12:37].all()
    assert not picture[:, 39:].any()
