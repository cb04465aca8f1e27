"""Targets of the box and mask heads, against hand-computed values."""

import pytest
import torch

from clothseg.config import BoxHeadSettings
from clothseg.networks.input import InputPlacement, Target, to_network_coords
from clothseg.networks.mask_rcnn.conventions import CONVENTIONS
from clothseg.networks.mask_rcnn.targets import mask_targets, sample_proposals

PLACEMENT = InputPlacement(0, 0, 64, 64, (64, 64), (64, 64))


def test_ground_truth_boxes_are_sampled() -> None:
    """Two proposals match, one is background, one is in a crowd. The second photo has no objects."""
    truth = torch.tensor([[0.0, 0, 20, 20], [40, 40, 60, 60]])
    masks = torch.zeros(2, 64, 64, dtype=torch.uint8)
    crowd = torch.tensor([[0.0, 40, 20, 60]])
    target = Target(truth, torch.tensor([1, 2]), masks, crowd)
    empty = Target(truth[:0], torch.zeros(0, dtype=torch.int64), masks[:0], crowd[:0])
    proposals = torch.tensor([[41.0, 40, 60, 60], [0, 0, 20, 15], [30, 0, 40, 10], [2, 42, 12, 52]])
    generators = [torch.Generator().manual_seed(number) for number in range(2)]
    settings = BoxHeadSettings(samples=8, positive_fraction=0.5)
    boxes, matches = sample_proposals([proposals, proposals], [target, empty], settings, generators)
    assert boxes[0].tolist() == [*proposals[:3].tolist(), *truth.tolist()]
    assert matches[0].tolist() == [1, 0, -1, 0, 1]
    assert torch.equal(boxes[1], proposals)
    assert matches[1].tolist() == [-1] * 4


def test_no_more_proposals_are_sampled_than_requested() -> None:
    truth = torch.tensor([[0.0, 0, 20, 20]])
    target = Target(truth, torch.tensor([1]), torch.zeros(1, 64, 64, dtype=torch.uint8), truth[:0])
    proposals = torch.cat([truth.expand(20, 4), torch.tensor([[40.0, 40, 60, 60]]).expand(30, 4)])
    settings = BoxHeadSettings(samples=16, positive_fraction=0.25)
    _, matches = sample_proposals([proposals], [target], settings, [torch.Generator()])
    assert (int((matches[0] == 0).sum()), int((matches[0] == -1).sum())) == (4, 12)


@pytest.mark.parametrize("name", list(CONVENTIONS))
def test_mask_targets_are_cropped_from_the_ground_truth(name: str) -> None:
    """A square of 16 pixels in the middle of a box of 32: the middle half is 1 with every sampling."""
    conventions = CONVENTIONS[name]
    masks = torch.zeros(2, 64, 64, dtype=torch.uint8)
    masks[1, 24:40, 24:40] = 1
    boxes = torch.tensor([[16.0, 16, 48, 48], [24, 24, 40, 40], [0, 0, 16, 16]])
    inside = to_network_coords(boxes, PLACEMENT.padded, conventions.input)
    found = mask_targets(masks, inside, torch.tensor([1, 1, 1]), 8, PLACEMENT, conventions)
    assert found.shape == (3, 8, 8)
    middle = torch.zeros(8, 8)
    middle[2:6, 2:6] = 1
    assert torch.equal(found[0].round(), middle)
    assert torch.equal(found[1].round(), torch.ones(8, 8))
    assert torch.equal(found[2], torch.zeros(8, 8))
    if conventions.binary_mask_targets:
        assert set(found.unique(sorted=True).tolist()) == {0.0, 1.0}  # type: ignore[no-untyped-call]
    assert mask_targets(masks, inside[:0], torch.zeros(0, dtype=torch.int64), 8, PLACEMENT, conventions).shape[0] == 0


@pytest.mark.parametrize("name", list(CONVENTIONS))
def test_mask_targets_subtract_the_offset_of_the_photo(name: str) -> None:
    conventions = CONVENTIONS[name]
    placement = InputPlacement(10, 20, 32, 24, (64, 64), (32, 24))
    masks = torch.zeros(1, 32, 24, dtype=torch.uint8)
    masks[0, 8:24, 4:20] = 1
    boxes = to_network_coords(torch.tensor([[24.0, 18, 40, 34]]), placement.padded, conventions.input)
    found = mask_targets(masks, boxes, torch.tensor([0]), 4, placement, conventions)
    assert torch.equal(found.round(), torch.ones(1, 4, 4))
