"""Garments that are rectangles, a cut-out of one, and tests with and without PyMatting."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from clothseg.garments import Cutout, cut_out, foreground, load_foreground
from clothseg.instances import Instances, PixelMasks
from clothseg.photos import RgbImage

NAMES = ["Suit", "Dress"]


def rectangles(size: tuple[int, int], *found: tuple[tuple[int, int, int, int], int, float]) -> Instances:
    """Rectangular masks. Each is x1 y1 x2 y2, class and score."""
    masks = torch.zeros(len(found), *size, dtype=torch.bool)
    for mask, ((x1, y1, x2, y2), _, _) in zip(masks, found, strict=True):
        mask[y1:y2, x1:x2] = True
    boxes = torch.tensor([box for box, _, _ in found], dtype=torch.float32).reshape(-1, 4)
    classes = torch.tensor([label for _, label, _ in found], dtype=torch.int64)
    return Instances(size, boxes, classes, PixelMasks(masks), torch.tensor([score for _, _, score in found]))


def photo_with(box: tuple[int, int, int, int]) -> RgbImage:
    """120 x 100 pixels of grass with a red rectangle."""
    photo = np.full((120, 100, 3), (90, 140, 60), np.uint8)
    photo[box[1] : box[3], box[0] : box[2]] = (190, 50, 40)
    return photo


@pytest.fixture
def cutout() -> Cutout:
    """A red garment of class 2, cut out of 120 x 100 pixels of grass."""
    box = (30, 20, 70, 90)
    found = cut_out(photo_with(box), rectangles((120, 100), (box, 2, 0.9)), 0, "Dress")
    assert found is not None
    return found


@pytest.fixture(params=[True, False], ids=["PyMatting", "without PyMatting"])
def matting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The test runs twice: with PyMatting, and as if it were not installed."""
    if not request.param:
        monkeypatch.setattr(foreground, "is_installed", lambda package: False)
    load_foreground.cache_clear()
    yield
    load_foreground.cache_clear()
