"""Masks in all forms, against pycocotools, torchvision and Pillow."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as referee
from torchvision.models.detection.roi_heads import paste_masks_in_image

from clothseg.errors import DataError
from clothseg.instances import (
    BoxMasks,
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
def test_rle_is_the_referees(mask: NDArray[np.bool_]) -> None:
    rle = encode(mask)
    theirs: Any = referee.encode(np.asfortranarray(mask, dtype=np.uint8))
    assert rle["counts"] == theirs["counts"].decode()
    assert np.array_equal(decode(rle), mask)
    assert sum(run_lengths(rle["counts"])) == mask.size
    assert mask_area(rle) == mask.sum() == referee.area(theirs)
    assert tight_box(rle) == tuple(referee.toBbox(theirs))
    uncompressed = {"size": list(mask.shape), "counts": run_lengths(rle["counts"])}
    assert np.array_equal(decode(from_segmentation(uncompressed, *mask.shape)), mask)


def test_polygons_are_drawn_as_the_referee_draws() -> None:
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
        ({"size": [4, 4], "counts": "!!"}, "does not know"),
        (None, "neither"),
    ],
)
def test_broken_segmentations_are_told(segmentation: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        from_segmentation(segmentation, 4, 4)


@given(any_mask, st.integers(1, 60), st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_resizing_is_pillows_nearest(mask: NDArray[np.bool_], height: int, width: int) -> None:
    theirs = Image.fromarray(mask.astype(np.uint8)).resize((width, height), Image.Resampling.NEAREST)
    # Where a centre falls on the line between two pixels, either is the nearest.
    sure = [
        (2 * np.arange(new) + 1) * old % (2 * new) != 0 for new, old in zip((height, width), mask.shape, strict=True)
    ]
    grid = np.ix_(*sure)
    assert np.array_equal(resize_mask(mask, (height, width))[grid], np.asarray(theirs).astype(bool)[grid])


def test_iou_of_crowds_is_over_the_found() -> None:
    small, large = np.zeros((10, 10), bool), np.ones((10, 10), bool)
    small[:5] = True
    assert mask_iou([encode(small)], [encode(large)])[0, 0] == 0.5
    assert mask_iou([encode(small)], [encode(large)], [True])[0, 0] == 1.0
    assert mask_iou([], [encode(large)]).shape == (0, 1)


def test_pasting_is_torchvisions_also_over_the_edge() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = torch.rand((12, 28, 28), generator=generator)
    corners = torch.rand((12, 4), generator=generator) * 60
    boxes = torch.cat([corners[:, :2] - 20, corners[:, :2] + corners[:, 2:]], dim=1)
    theirs = paste_masks_in_image(maps[:, None], boxes, (70, 90))[:, 0] > 0.5
    ours = BoxMasks(maps, boxes, (70, 90))
    assert torch.equal(ours.pixels(), theirs)
    assert torch.equal(RleMasks(ours.rle(), (70, 90)).pixels(), theirs)
    assert torch.equal(ours.select(torch.tensor([3, 0])).pixels(), theirs[[3, 0]])
