"""Masks as a grid of labels, compared with grids worked out by hand and with torch."""

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from clothseg.instances import (
    LabelMasks,
    PixelMasks,
    RleMasks,
)


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
