"""Masks pasted and encoded together, as on a GPU, against one by one, and against torchvision and pycocotools."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as referee
from torch import Tensor
from torchvision.models.detection.roi_heads import paste_masks_in_image

from clothseg import cpu_path
from clothseg.instances import BoxMasks, PasteRule, PixelMasks, decode, encode_photos
from clothseg.instances import paste_together as module
from clothseg.instances.paste_together import paste_together, soft_together
from clothseg.networks.dispatch_counts import DispatchCounts

RULES: tuple[PasteRule, ...] = ("torchvision", "detectron2", "matterport")
side = st.floats(-40, 120, width=32)
box = st.tuples(side, side, st.floats(0.125, 150, width=32), st.floats(0.125, 150, width=32))


def box_masks(size: tuple[int, int], boxes: list[tuple[float, ...]], seed: int, rule: PasteRule) -> BoxMasks:
    """Random maps in boxes that are given as corner, width and height."""
    maps = torch.rand((len(boxes), 14, 14), generator=torch.Generator().manual_seed(seed))
    corners = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    placed = torch.cat([corners[:, :2], corners[:, :2] + corners[:, 2:]], dim=1)
    return BoxMasks(maps, placed, size, 0.5, rule)


@pytest.mark.parametrize("rule", RULES)
@given(
    size=st.sampled_from([(1, 1), (1, 60), (53, 2), (61, 80)]),
    boxes=st.lists(box, max_size=5),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_masks_together_equal_masks_one_by_one(
    rule: PasteRule, size: tuple[int, int], boxes: list[tuple[float, ...]], seed: int
) -> None:
    masks = box_masks(size, boxes, seed, rule)
    found = paste_together(masks.probabilities, masks.in_boxes, size, 0.5, rule)
    assert found.shape == (len(boxes), *size)
    different = found != masks.pixels()
    if different.any():  # only where a last digit decides
        sides = [paste_together(masks.probabilities, masks.in_boxes, size, 0.5 + e, rule) for e in (-1e-5, 1e-5)]
        assert not (different & (sides[0] == sides[1])).any()
    soft = soft_together(masks.probabilities, masks.in_boxes, slice(0, size[0]), slice(0, size[1]), 0.5)
    torch.testing.assert_close(soft, masks.soft(), atol=2e-4, rtol=0)  # single instead of double precision


def many_boxes(count: int) -> list[tuple[float, ...]]:
    """Inside and over the edges of a photo of 75 x 101; torchvision fails for boxes outside."""
    generator = torch.Generator().manual_seed(3)
    scale = torch.tensor([120.0, 95, 90, 90])
    rows = torch.rand((count, 4), generator=generator) * scale - torch.tensor([30.0, 30, -35, -35])
    return [tuple(row) for row in rows.tolist()]


def test_chunks_change_nothing_and_torchvision_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    masks = box_masks((75, 101), many_boxes(40), 1, "torchvision")
    whole = paste_together(masks.probabilities, masks.in_boxes, masks.size, 0.5, "torchvision")
    monkeypatch.setattr(module, "_CHUNK", 75 * 101 * 7)
    assert torch.equal(whole, paste_together(masks.probabilities, masks.in_boxes, masks.size, 0.5, "torchvision"))
    theirs = paste_masks_in_image(masks.probabilities[:, None], masks.in_boxes, masks.size)[:, 0] > 0.5
    assert torch.equal(whole, theirs)


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Masks take the way of a GPU."""
    monkeypatch.setattr(cpu_path, "uses_cpu_path", lambda tensor: False)


@pytest.mark.parametrize("rule", RULES)
def test_run_lengths_of_several_photos_are_those_of_their_pixels(rule: PasteRule, together: None) -> None:
    photos = [
        box_masks((75, 101), many_boxes(20), 1, rule),
        box_masks((1, 1), [(0.0, 0.0, 1.0, 1.0), (5.0, 5.0, 2.0, 2.0)], 2, rule),
        box_masks((30, 7), [], 3, rule),
        box_masks((16, 12), [(-9.0, -9.0, 40.0, 40.0)], 4, rule),
    ]
    full = BoxMasks(torch.ones(1, 14, 14), torch.tensor([[-9.0, -9, 40, 40]]), (16, 12), 0.5, rule)
    with DispatchCounts() as counts:
        encoded = encode_photos([*photos, full])
    assert counts.reads.total() == 2
    for masks, runs in zip([*photos, full], encoded, strict=True):
        pixels = masks.pixels().numpy()
        theirs = [referee.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"].decode() for mask in pixels]
        assert [one["counts"] for one in runs] == theirs
        assert all(np.array_equal(decode(one), mask) for one, mask in zip(runs, pixels, strict=True))
        assert masks.rle() == runs


def test_run_lengths_of_other_masks_are_their_own(together: None) -> None:
    pixels = PixelMasks(torch.rand((2, 9, 8), generator=torch.Generator().manual_seed(0)) > 0.5)
    boxes = box_masks((9, 8), [(1.0, 1.0, 5.0, 6.0)], 5, "torchvision")
    assert encode_photos([pixels, boxes]) == [pixels.rle(), boxes.rle()]


@pytest.mark.parametrize("threshold", [0.5, 0.2, 0.8])
def test_soft_masks_have_the_threshold_at_one_half_in_both_ways(
    threshold: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = box_masks((61, 80), many_boxes(6), 1, "detectron2")
    masks = BoxMasks(made.probabilities, made.in_boxes, made.size, threshold)
    parts: list[Tensor] = [masks.soft(slice(5, 40), slice(10, 70))]
    monkeypatch.setattr(cpu_path, "uses_cpu_path", lambda tensor: False)
    parts.append(masks.soft(slice(5, 40), slice(10, 70)))
    torch.testing.assert_close(parts[1], parts[0], atol=1e-5, rtol=0)
