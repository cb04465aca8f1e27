"""Masks in all forms, compared with pycocotools, torchvision, Pillow and grids worked out by hand."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as referee
from torch import Tensor
from torchvision.models.detection.roi_heads import paste_masks_in_image

from clothseg.errors import DataError
from clothseg.instances import (
    BoxMasks,
    LabelMasks,
    Masks,
    PixelMasks,
    RleMasks,
    decode,
    encode,
    from_polygons,
    from_segmentation,
    mask_area,
    mask_iou,
    mask_union,
    resize_mask,
    run_lengths,
    tight_box,
)

any_mask = st.tuples(st.integers(1, 40), st.integers(1, 40)).flatmap(lambda size: arrays(np.bool_, size))


@given(any_mask)
@settings(max_examples=100, deadline=None)
def test_rle_equals_pycocotools(mask: NDArray[np.bool_]) -> None:
    rle = encode(mask)
    theirs: Any = referee.encode(np.asfortranarray(mask, dtype=np.uint8))
    assert rle["counts"] == theirs["counts"].decode()
    assert np.array_equal(decode(rle), mask)
    assert sum(run_lengths(rle["counts"])) == mask.size
    assert mask_area(rle) == mask.sum() == referee.area(theirs)
    assert tight_box(rle) == tuple(referee.toBbox(theirs))
    uncompressed = {"size": list(mask.shape), "counts": run_lengths(rle["counts"])}
    assert np.array_equal(decode(from_segmentation(uncompressed, *mask.shape)), mask)


def test_polygons_are_drawn_as_in_pycocotools() -> None:
    polygons = [[3.2, 4.0, 30.5, 6.0, 20.0, 28.0], [1.0, 30.0, 9.0, 30.0, 9.0, 38.0, 1.0, 38.0]]
    theirs = referee.decode(referee.merge(referee.frPyObjects(polygons, 40, 50)))
    assert np.array_equal(decode(from_polygons(polygons, 40, 50)), theirs.astype(bool))


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ([], "no polygon"),
        ([[1, 2, 3, 4]], "3 or more"),
        ({"size": [4, 4]}, "neither polygons nor RLE"),
        ({"size": [5, 4], "counts": "0"}, "has size"),
        ({"size": [4, 4], "counts": [3, 4]}, "fill 7"),
        ({"size": [4, 4], "counts": "92"}, "do not fill"),
        ({"size": [4, 4], "counts": "!!"}, "does not allow"),
        (None, "neither"),
    ],
)
def test_broken_segmentations_are_errors(segmentation: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        from_segmentation(segmentation, 4, 4)


@given(any_mask, st.integers(1, 60), st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_resizing_equals_pillows_nearest(mask: NDArray[np.bool_], height: int, width: int) -> None:
    theirs = Image.fromarray(mask.astype(np.uint8)).resize((width, height), Image.Resampling.NEAREST)
    # If a centre lies exactly between two pixels, both are nearest. These are not compared.
    sure = [
        (2 * np.arange(new) + 1) * old % (2 * new) != 0 for new, old in zip((height, width), mask.shape, strict=True)
    ]
    grid = np.ix_(*sure)
    assert np.array_equal(resize_mask(mask, (height, width))[grid], np.asarray(theirs).astype(bool)[grid])


def test_iou_with_a_crowd_divides_by_the_area_of_the_found_mask() -> None:
    small, large = np.zeros((10, 10), bool), np.ones((10, 10), bool)
    small[:5] = True
    assert mask_iou([encode(small)], [encode(large)])[0, 0] == 0.5
    assert mask_iou([encode(small)], [encode(large)], [True])[0, 0] == 1.0
    assert mask_iou([], [encode(large)]).shape == (0, 1)


def test_pasting_equals_torchvision_also_over_the_edge() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = torch.rand((12, 28, 28), generator=generator)
    corners = torch.rand((12, 4), generator=generator) * 60
    boxes = torch.cat([corners[:, :2] - 20, corners[:, :2] + corners[:, 2:]], dim=1)
    theirs = paste_masks_in_image(maps[:, None], boxes, (70, 90))[:, 0] > 0.5
    ours = BoxMasks(maps, boxes, (70, 90))
    assert torch.equal(ours.pixels(), theirs)
    assert torch.equal(RleMasks(ours.rle(), (70, 90)).pixels(), theirs)
    assert torch.equal(ours.select(torch.tensor([3, 0])).pixels(), theirs[[3, 0]])


def random_box_masks(threshold: float = 0.5) -> BoxMasks:
    """On a photo of 50 x 70: some inside, some over the edges, one outside."""
    generator = torch.Generator().manual_seed(1)
    maps = torch.rand((5, 9, 9), generator=generator)
    boxes = torch.tensor(
        [[5.3, 8.1, 61.7, 44.9], [-7, -9.5, 20, 30], [40, 30.2, 90, 71], [10, 10, 12.5, 11.2], [80, 60, 95, 90]]
    )
    return BoxMasks(maps, boxes, (50, 70), threshold)


def sampled(values: Tensor, box: Tensor, size: tuple[int, int]) -> Tensor:
    """Samples a map in a box at all pixel centres of a photo with torch. Outside is 0."""
    y = (torch.arange(size[0]) + 0.5 - box[1]) / (box[3] - box[1]) * 2 - 1
    x = (torch.arange(size[1]) + 0.5 - box[0]) / (box[2] - box[0]) * 2 - 1
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    return F.grid_sample(values[None, None], torch.stack([columns, rows], -1)[None], align_corners=False)[0, 0]


@pytest.mark.parametrize("threshold", [0.5, 0.2, 0.8])
def test_soft_masks_in_boxes_are_interpolated_as_in_torch_with_the_threshold_at_one_half(threshold: float) -> None:
    masks = random_box_masks(threshold)
    below = masks.probabilities / threshold * 0.5
    above = 0.5 + (masks.probabilities - threshold) / (1 - threshold) * 0.5
    moved = torch.where(masks.probabilities < threshold, below, above)
    expected = torch.stack([sampled(m, box, masks.size) for m, box in zip(moved, masks.in_boxes, strict=True)])
    assert masks.soft().dtype == torch.float32
    torch.testing.assert_close(masks.soft(), expected, atol=1e-5, rtol=0)
    part = masks.select(torch.tensor([2, 0])).soft(slice(20, 41), slice(33, 70))
    torch.testing.assert_close(part, expected[[2, 0], 20:41, 33:70], atol=1e-5, rtol=0)
    assert (masks.soft()[4] == 0).all()
    nothing = masks.select(torch.zeros(0, dtype=torch.int64))
    assert nothing.soft(slice(3, 8), slice(2, 4)).shape == (0, 5, 2)


def test_all_forms_of_the_same_masks_agree_on_boxes_and_soft_values() -> None:
    pixels = torch.zeros((3, 6, 8), dtype=torch.bool)
    pixels[0, 1:4, 2:7] = True
    pixels[2, 5, 0] = True
    numbers = torch.tensor([[5, 0, 0], [5, 5, 0], [0, 0, 9]])
    forms: list[Masks] = [PixelMasks(pixels), RleMasks(PixelMasks(pixels).rle(), (6, 8))]
    tight = [[2.0, 1, 7, 4], [0, 0, 0, 0], [0, 5, 1, 6]]
    for masks in forms:
        assert masks.boxes().tolist() == tight
        assert torch.equal(masks.soft(), pixels.float())
        assert torch.equal(masks.soft(slice(1, 6), slice(0, 3)), pixels[:, 1:6, :3].float())
        assert masks.size == (6, 8)
    on_grid = LabelMasks(numbers, torch.ones((3, 3)), torch.tensor([9, 4, 5]), (3, 3))
    assert on_grid.boxes().tolist() == [[2, 2, 3, 3], [0, 0, 0, 0], [0, 0, 2, 2]]
    in_boxes = random_box_masks()
    assert torch.equal(in_boxes.boxes(), in_boxes.in_boxes)
    assert torch.equal(in_boxes.select(torch.tensor([1])).boxes(), in_boxes.in_boxes[1:2])
    none = torch.zeros(0, dtype=torch.int64)
    for masks in (*forms, on_grid, in_boxes):
        left = masks.select(none)
        assert len(left) == 0
        assert left.boxes().shape == (0, 4)
        assert left.soft().shape == left.pixels().shape == (0, *masks.size)
        assert left.rle() == []


@pytest.mark.parametrize("far", [1e6, 3e9, 1e15, 1e20, 1e308])
def test_a_polygon_may_reach_far_beyond_the_photo(far: float) -> None:
    """Drawn is the part on the photo, here the right part of some rows."""
    rle = from_polygons([[10, 10, far, 10, far, 40, 10, 40]], 128, 96)
    assert (mask_area(rle), tight_box(rle)) == (86 * 30, (10.0, 10.0, 86.0, 30.0))


def test_a_union_is_that_of_the_pixels() -> None:
    rng = np.random.default_rng(7)
    for count in (1, 2, 9):
        masks = [rng.random((13, 9)) < share for share in rng.choice([0, 0.1, 0.6, 1], count)]
        np.testing.assert_array_equal(decode(mask_union([encode(mask) for mask in masks])), np.any(masks, axis=0))
