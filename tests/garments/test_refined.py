"""Masks whose edges move to the photo's: on a photo with a known object, with torch and without."""

from typing import cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from clothseg.garments.refined import IOU_THRESHOLD, refine_edges
from clothseg.instances import ArrayInstances, BoxArrayMasks, BoxMasks, Instances, to_array
from clothseg.instances.refined_masks import RefinedArrayMasks, RefinedMasks

HEIGHT, WIDTH = 200, 160


def disc(radius: float, centre: tuple[int, int] = (100, 80)) -> NDArray[np.bool_]:
    ys, xs = np.mgrid[:HEIGHT, :WIDTH]
    return np.asarray((ys - centre[0]) ** 2 + (xs - centre[1]) ** 2 <= radius**2, dtype=np.bool_)


@pytest.fixture
def photo() -> NDArray[np.uint8]:
    """A blue disc with a radius of 50 on brown, both with noise."""
    noise = np.random.default_rng(1).normal(0, 5, (HEIGHT, WIDTH, 3))
    colours = np.where(disc(50)[..., None], (40, 60, 170), (150, 120, 90)) + noise
    return np.asarray(colours.clip(0, 255), dtype=np.uint8)


def square_maps(count: int, inset: int) -> NDArray[np.float32]:
    """Maps `[N, 28, 28]` in the box of the disc: certain of a square, with an uncertain border."""
    maps = np.full((count, 28, 28), 0.3, dtype=np.float32)
    maps[:, inset:-inset, inset:-inset] = 0.9
    return maps


BOX = np.array([30.0, 50.0, 131.0, 151.0], dtype=np.float32)


def found(scores: list[float], inset: int = 2) -> Instances:
    count = len(scores)
    boxes = torch.from_numpy(np.tile(BOX, (count, 1)))
    masks = BoxMasks(torch.from_numpy(square_maps(count, inset)), boxes, (HEIGHT, WIDTH))
    return Instances((HEIGHT, WIDTH), boxes, torch.ones(count, dtype=torch.int64), masks, torch.tensor(scores))


def found_arrays(scores: list[float], inset: int = 2) -> ArrayInstances:
    count = len(scores)
    boxes = np.tile(BOX, (count, 1))
    masks = BoxArrayMasks(boxes, (HEIGHT, WIDTH), square_maps(count, inset))
    scored = np.array(scores, dtype=np.float32)
    return ArrayInstances((HEIGHT, WIDTH), boxes, np.ones(count, dtype=np.int64), scored, masks)


def iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize("make", [found, found_arrays])
def test_the_edge_moves_to_that_of_the_object(make: type, photo: NDArray[np.uint8]) -> None:
    before = make([0.9])
    after = refine_edges(photo, before)
    square, moved = (to_array(one.masks.pixels())[0] for one in (before, after))
    assert iou(square, disc(50)) < 0.9
    assert iou(moved, disc(50)) > 0.95
    assert np.array_equal(to_array(after.boxes), to_array(before.boxes))


def test_with_torch_and_without_it_is_the_same(photo: NDArray[np.uint8]) -> None:
    one, other = refine_edges(photo, found([0.9, 0.7])), refine_edges(photo, found_arrays([0.9, 0.7]))
    assert one.masks.rle() == other.masks.rle()
    assert torch.allclose(one.masks.soft(), torch.from_numpy(other.masks.soft()), atol=1e-5)


def test_a_low_score_leaves_a_mask_as_it_is(photo: NDArray[np.uint8]) -> None:
    before = found([0.9, 0.1])
    after = refine_edges(photo, before)
    assert torch.equal(after.masks.pixels()[1], before.masks.pixels()[1])
    assert not torch.equal(after.masks.pixels()[0], before.masks.pixels()[0])


def test_a_new_mask_that_agrees_little_with_the_network_is_not_taken(photo: NDArray[np.uint8]) -> None:
    before = found([0.9], inset=8)  # a square that covers a sixth of the disc's box
    pixels = before.masks.pixels()[0].numpy()
    assert iou(pixels, disc(50)) < IOU_THRESHOLD
    assert torch.equal(refine_edges(photo, before).masks.pixels(), before.masks.pixels())


def test_the_network_s_certainty_stays_known(photo: NDArray[np.uint8]) -> None:
    before = found([0.9])
    after = refine_edges(photo, before)
    assert torch.equal(after.masks.soft(), before.masks.soft())
    part = slice(90, 110), slice(70, 100)
    assert torch.equal(after.masks.soft(*part), before.masks.soft(*part))


def test_masks_are_selected_in_any_order(photo: NDArray[np.uint8]) -> None:
    after, arrays = refine_edges(photo, found([0.9, 0.1, 0.8])), refine_edges(photo, found_arrays([0.9, 0.1, 0.8]))
    masks, order = cast(RefinedMasks, after.masks), [2, 0]
    chosen = masks.select(torch.tensor(order))
    assert torch.equal(chosen.pixels(), masks.pixels()[order])
    assert torch.equal(chosen.boxes(), masks.boxes()[order])
    assert chosen.rle() == [masks.rle()[n] for n in order] == cast(RefinedArrayMasks, arrays.masks).select(order).rle()
    assert len(chosen) == 2 and chosen.size == (HEIGHT, WIDTH)


@pytest.mark.parametrize("make", [found, found_arrays])
def test_nothing_found_and_empty_masks_stay_so(make: type, photo: NDArray[np.uint8]) -> None:
    assert len(refine_edges(photo, make([]))) == 0
    empty = make([0.9], inset=14)  # no cell is certain
    assert not to_array(empty.masks.pixels()).any()
    after = refine_edges(photo, empty)
    assert not to_array(after.masks.pixels()).any() and len(after.masks.rle()) == 1


def test_a_photo_of_one_pixel() -> None:
    boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    masks = BoxMasks(torch.ones(1, 28, 28), boxes, (1, 1))
    one = Instances((1, 1), boxes, torch.tensor([1]), masks, torch.tensor([0.9]))
    after = refine_edges(np.zeros((1, 1, 3), dtype=np.uint8), one)
    assert after.masks.pixels().tolist() == [[[True]]]
