"""Augmentation of objects with a box and no mask."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from clothseg.config import AugmentSettings
from clothseg.dataset.augment import augment, paste_instances
from clothseg.dataset.augment.augment import cut_boxes, uncovered_box
from clothseg.dataset.augment.changes import Geometry, draw_geometry
from clothseg.instances import Instances, PixelMasks

from .test_augment import EVERYTHING, noise, scene, seeded


def boxes_only(*boxes: tuple[float, float, float, float], size: tuple[int, int] = (90, 70)) -> Instances:
    count = len(boxes)
    masks = PixelMasks(torch.zeros((count, *size), dtype=torch.bool))
    flags = torch.zeros(count, dtype=torch.bool)
    return Instances(size, torch.tensor(boxes), torch.arange(1, count + 1), masks, has_mask=flags)


def affine_of(*rows: tuple[float, float, float]) -> Tensor:
    return torch.tensor([*rows, (0.0, 0.0, 1.0)])


def test_a_flip_mirrors_a_box_exactly() -> None:
    truth = boxes_only((3.25, 10, 20.5, 40))
    flipped = AugmentSettings.model_validate({"flip": 1})
    _, found = augment(noise(90, 70), truth, flipped, seeded(0))
    assert found.boxes.tolist() == [[49.5, 10, 66.75, 40]]
    assert found.has_mask.tolist() == [False] and not found.masks.pixels().any()


def test_boxes_of_a_scaled_moved_and_turned_photo() -> None:
    """Scaled and moved by hand; a turn by 30 degrees, and one by 90, against the formula of an ellipse's extent."""
    box = torch.tensor([[10.0, 20, 30, 60]])
    scaled = Geometry(False, affine_of((0.5, 0, 3), (0, 2, -10)), None).boxes(box, (90, 70))
    torch.testing.assert_close(scaled, torch.tensor([[8.0, 30, 18, 110]]))
    for angle in (math.radians(30), math.radians(90)):
        cos, sin = math.cos(angle), math.sin(angle)
        turned = Geometry(False, affine_of((cos, -sin, 100), (sin, cos, 0)), None).boxes(box, (90, 70))[0]
        x, y = cos * 20 - sin * 40 + 100, sin * 20 + cos * 40
        half_width, half_height = math.hypot(10 * cos, 20 * sin), math.hypot(10 * sin, 20 * cos)
        expected = torch.tensor([x - half_width, y - half_height, x + half_width, y + half_height])
        torch.testing.assert_close(turned, expected, atol=0.1, rtol=0)


@pytest.mark.parametrize("seed", range(12))
def test_the_box_of_an_ellipse_moves_like_its_mask(seed: int) -> None:
    height, width = 180, 140
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    mask = ((x - 70) / 20) ** 2 + ((y - 90) / 32) ** 2 < 1
    box = torch.tensor([[50.0, 58, 90, 122]])
    in_view = EVERYTHING.model_copy(update={"shift": AugmentSettings().shift})
    geometry = draw_geometry(in_view, (height, width), seeded(seed))
    rows, columns = np.nonzero(geometry.mask(mask.numpy()))
    tight = torch.tensor([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]).float()
    inside = geometry.boxes(box, (height, width))[0].clamp(min=0).minimum(torch.tensor([width, height, width, height]))
    torch.testing.assert_close(inside, tight, atol=2.5, rtol=0)  # pixels of a photo that is up to twice as large


def test_what_the_edge_leaves_of_a_box() -> None:
    boxes = torch.tensor([[-10.0, 10, 10, 30], [-17, 10, 3, 30], [60, 80, 80, 100], [5, 5, 5.5, 30], [80, 5, 90, 9]])
    assert cut_boxes(boxes, (90, 70)).tolist() == [
        [0, 10, 10, 30],  # half of it
        [0, 0, 0, 0],  # 15 %
        [60, 80, 70, 90],  # a quarter
        [0, 0, 0, 0],  # less than a pixel wide
        [0, 0, 0, 0],  # outside
    ]
    outside = boxes_only((0, 0, 9, 9), (30, 30, 60, 60))
    smaller = AugmentSettings.model_validate({"flip": 0, "large_scale_jitter": [3.0, 3.0]})
    for seed in range(6):
        _, found = augment(noise(90, 70), outside, smaller, seeded(seed))
        assert (found.boxes[:, 2:] <= torch.tensor([70, 90])).all() and (found.boxes[:, :2] >= 0).all()
        assert len(found) == len(found.masks) == len(found.has_mask)


def test_a_pasted_object_covers_a_box() -> None:
    covered = np.zeros((90, 70), dtype=np.bool_)
    covered[10:50, 5:25] = True
    cases: dict[tuple[float, ...], list[float]] = {
        (30.5, 10, 40, 20): [30.5, 10, 40, 20],  # not touched
        (10, 20, 20, 30): [0, 0, 0, 0],  # all of it
        (15.5, 15, 35.25, 45): [25, 15, 35.25, 45],  # its left half
        (10, 20, 40, 80): [10, 20, 40, 80],  # a corner: what is left still spans the box
        (5, 10, 28, 50): [0, 0, 0, 0],  # 3 of 23 columns are left
    }
    for box, expected in cases.items():
        assert uncovered_box(torch.tensor(box), covered).tolist() == expected


def test_objects_without_a_mask_are_not_pasted() -> None:
    image, truth = scene()
    other = boxes_only((5, 5, 30, 30), (40, 40, 60, 80))
    for seed in range(8):
        pasted, found = paste_instances(image, truth, noise(90, 70), other, seeded(seed))
        assert pasted is image and found is truth
    for seed in range(8):
        _, found = paste_instances(noise(90, 70), other, image, truth, seeded(seed))
        assert found.masks.pixels().any(dim=2).any(dim=1).tolist() == found.has_mask.tolist()
        assert len(found.boxes) == len(found.classes) == len(found.crowd)
