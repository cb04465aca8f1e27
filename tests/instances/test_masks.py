"""Masks in all forms, compared with pycocotools, torchvision, Pillow and grids worked out by hand."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
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


def hand_grid() -> LabelMasks:
    """Two objects on a 2 x 2 grid for a photo of 4 x 4 pixels: 1 is the top left cell, 2 is all others."""
    return LabelMasks(
        torch.tensor([[1, 2], [2, 2]]), torch.tensor([[1.0, 0.6], [0.6, 0.6]]), torch.tensor([1, 2]), (4, 4)
    )


def test_label_masks_by_hand() -> None:
    """Pixel centres are at -0.25, 0.25, 0.75 and 1.25 cells, so the first cell has weights 1, 3/4, 1/4 and 0 there.

    For object 1, its cell has (1 + 1) / 2 = 1 and the others (1 - 0.6) / 2 = 0.2. For object 2 it is one minus that.
    """
    masks = hand_grid()
    expected = torch.tensor(
        [[1.0, 0.8, 0.4, 0.2], [0.8, 0.65, 0.35, 0.2], [0.4, 0.35, 0.25, 0.2], [0.2, 0.2, 0.2, 0.2]]
    )
    torch.testing.assert_close(masks.soft(), torch.stack([expected, 1 - expected]))
    first = torch.zeros((4, 4), dtype=torch.bool)
    first[:2, :2] = True
    assert torch.equal(masks.pixels(), torch.stack([first, ~first]))
    assert masks.boxes().tolist() == [[0, 0, 2, 2], [0, 0, 4, 4]]
    swapped = masks.select(torch.tensor([1, 0]))
    assert torch.equal(swapped.pixels(), torch.stack([~first, first]))
    assert len(swapped) == 2
    torch.testing.assert_close(masks.soft(slice(1, 3), slice(2, 4))[0], expected[1:3, 2:4])


def test_label_masks_of_a_photo_that_fills_part_of_the_grid() -> None:
    """Its 2 x 2 pixels are exactly the cells of rows 1 and 2 and columns 2 and 3."""
    labels = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 2, 1, 1], [1, 1, 0, 2, 1], [1, 1, 1, 1, 1]])
    probabilities = torch.linspace(0.05, 1.0, 20).reshape(4, 5)
    masks = LabelMasks(labels, probabilities, torch.tensor([2, 1, 7]), (2, 2), (1 / 4, 2 / 5, 2 / 4, 2 / 5))
    own = probabilities[1:3, 2:4] / 2
    two, one = (torch.where(labels[1:3, 2:4] == number, 0.5 + own, 0.5 - own) for number in (2, 1))
    torch.testing.assert_close(masks.soft(), torch.stack([two, one, 0.5 - own]))
    assert masks.pixels().tolist() == [
        [[True, False], [False, True]],
        [[False, True], [False, False]],
        [[False] * 2] * 2,
    ]
    assert masks.boxes().tolist() == [[0, 0, 2, 2], [1, 0, 2, 1], [0, 0, 0, 0]]


def test_label_masks_of_a_whole_grid_are_interpolated_as_in_torch() -> None:
    generator = torch.Generator().manual_seed(2)
    labels = torch.randint(4, (6, 9), generator=generator)
    probabilities = torch.rand((6, 9), generator=generator)
    masks = LabelMasks(labels, probabilities, torch.tensor([3, 1, 2]), (31, 40))
    cells = torch.stack([torch.where(labels == n, 1 + probabilities, 1 - probabilities) / 2 for n in (3, 1, 2)])
    expected = F.interpolate(cells[None], (31, 40), mode="bilinear", align_corners=False)[0]
    torch.testing.assert_close(masks.soft(), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(masks.soft(slice(3, 20), slice(39, 40)), expected[:, 3:20, 39:40], atol=1e-5, rtol=0)


some_probabilities = st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7, 1.0]) | st.floats(0, 1, width=32)


@st.composite
def label_masks(draw: st.DrawFn) -> LabelMasks:
    """Masks of all four labels of a grid. The photo fills all of the grid or a part."""
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    labels = torch.from_numpy(draw(arrays(np.int64, shape, elements=st.integers(0, 3))))
    probabilities = torch.from_numpy(draw(arrays(np.float32, shape, elements=some_probabilities)))
    size = draw(st.tuples(st.integers(1, 14), st.integers(1, 14)))
    height, width = (draw(st.sampled_from([1.0, 0.75, 0.5])) for _ in range(2))
    top, left = (draw(st.sampled_from([0.0, (1 - extent) / 2, 1 - extent])) for extent in (height, width))
    return LabelMasks(labels, probabilities, torch.arange(4), size, (top, left, height, width))


TIE = LabelMasks(torch.tensor([[1, 2], [2, 1]]), torch.full((2, 2), 0.45), torch.tensor([1, 2]), (5, 5))
"""In the middle both masks are exactly 0.5. Rounding must not put both above it."""


@example(TIE)
@given(label_masks())
@settings(max_examples=300, deadline=None)
def test_label_masks_never_overlap_and_their_forms_agree(masks: LabelMasks) -> None:
    pixels = masks.pixels()
    assert pixels.sum(dim=0).max() <= 1
    assert torch.equal(pixels, masks.soft() > 0.5)
    as_rle, as_pixels = RleMasks(masks.rle(), masks.size), PixelMasks(pixels)
    assert torch.equal(as_rle.pixels(), pixels)
    assert torch.equal(masks.boxes(), as_pixels.boxes())
    assert torch.equal(masks.boxes(), as_rle.boxes())
    assert masks.soft().min() >= 0 and masks.soft().max() <= 1


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
