"""The losses and the targets of the heads against hand-computed values."""

import math

import pytest
import torch

from clothseg.config import BoxHeadSettings
from clothseg.networks.layers.box_targets import IGNORED, NEGATIVE
from clothseg.networks.mask_rcnn.conventions import CONVENTIONS, MATTERPORT, TORCHVISION
from clothseg.networks.mask_rcnn.losses import (
    box_head_losses,
    mask_loss,
    mask_targets,
    matched_rows,
    rpn_losses,
    sample_proposals,
)
from clothseg.networks.placement import InputPlacement, to_network_coords
from clothseg.networks.target import Target

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
    found = sorted(zip(boxes[0].tolist(), matches[0].tolist(), strict=True), key=lambda pair: -pair[1])
    assert sorted(found[:4]) == sorted(
        zip([*proposals[:2].tolist(), *truth.tolist()], [1, 0, 0, 1], strict=True)
    )  # fmt: skip
    assert found[4] == (proposals[2].tolist(), NEGATIVE)
    assert [match for _, match in found[5:]] == [IGNORED]
    assert sorted(boxes[1, :4].tolist()) == sorted(proposals.tolist())
    assert matches[1].tolist() == [NEGATIVE] * 4 + [IGNORED] * 2


def test_no_more_proposals_are_sampled_than_requested() -> None:
    truth = torch.tensor([[0.0, 0, 20, 20]])
    target = Target(truth, torch.tensor([1]), torch.zeros(1, 64, 64, dtype=torch.uint8), truth[:0])
    proposals = torch.cat([truth.expand(20, 4), torch.tensor([[40.0, 40, 60, 60]]).expand(30, 4)])
    settings = BoxHeadSettings(samples=16, positive_fraction=0.25)
    _, matches = sample_proposals([proposals], [target], settings, [torch.Generator()])
    assert matches[0].tolist() == [0] * 4 + [NEGATIVE] * 12


def test_boxes_without_extent_are_not_sampled() -> None:
    """They fill up proposals of a fixed number."""
    truth = torch.tensor([[0.0, 0, 20, 20]])
    target = Target(truth, torch.tensor([1]), torch.zeros(1, 64, 64, dtype=torch.uint8), truth[:0])
    proposals = torch.tensor([[0.0, 0, 0, 0], [30, 30, 40, 40], [50, 50, 50, 60], [0, 0, 0, 0]])
    settings = BoxHeadSettings(samples=4, positive_fraction=0.25)
    boxes, matches = sample_proposals([proposals], [target], settings, [torch.Generator()])
    assert matches[0].tolist() == [0, NEGATIVE, IGNORED, IGNORED]
    assert boxes[0, :2].tolist() == [truth[0].tolist(), proposals[1].tolist()]


def test_rows_of_the_ground_truth_are_found_photo_by_photo() -> None:
    tables = [[torch.tensor([[1.0], [2]])], [torch.zeros(0, 1)], [torch.tensor([[3.0]])], [torch.zeros(0, 1)]]
    matches = [torch.tensor(row) for row in ([1, NEGATIVE, 0], [NEGATIVE, IGNORED], [IGNORED, 0], [NEGATIVE])]
    (found,) = matched_rows(tables, matches)
    assert found.shape == (8, 1)
    assert found[[0, 2, 6], 0].tolist() == [2, 1, 3]
    assert matched_rows(tables[1:2], matches[1:2])[0].shape == (2, 1)


def middle_square(size: int) -> torch.Tensor:
    square = torch.zeros(size, size)
    square[size // 4 : -size // 4, size // 4 : -size // 4] = 1
    return square


@pytest.mark.parametrize("name", list(CONVENTIONS))
def test_mask_targets_are_cropped_from_the_ground_truth(name: str) -> None:
    """A square of 16 pixels in the middle of a box of 32: the middle half is 1 with every sampling."""
    conventions = CONVENTIONS[name]
    masks = torch.zeros(2, 64, 64, dtype=torch.uint8)
    masks[1, 24:40, 24:40] = 1
    boxes = torch.tensor([[16.0, 16, 48, 48], [24, 24, 40, 40], [0, 0, 16, 16]])
    inside = to_network_coords(boxes, PLACEMENT.padded, conventions.input)
    found, smaller = mask_targets(masks, inside, torch.tensor([1, 1, 1]), [8, 4], PLACEMENT, conventions)
    assert torch.equal(smaller[0].round(), middle_square(4))
    assert found.shape == (3, 8, 8)
    assert torch.equal(found[0].round(), middle_square(8))
    assert torch.equal(found[1].round(), torch.ones(8, 8))
    assert torch.equal(found[2], torch.zeros(8, 8))
    if conventions.binary_mask_targets:
        assert set(found.unique(sorted=True).tolist()) == {0.0, 1.0}  # type: ignore[no-untyped-call]
    (none,) = mask_targets(masks, inside[:0], torch.zeros(0, dtype=torch.int64), [8], PLACEMENT, conventions)
    assert none.shape == (0, 8, 8)


@pytest.mark.parametrize("name", list(CONVENTIONS))
def test_mask_targets_subtract_the_offset_of_the_photo(name: str) -> None:
    conventions = CONVENTIONS[name]
    placement = InputPlacement(10, 20, 32, 24, (64, 64), (32, 24))
    masks = torch.zeros(1, 32, 24, dtype=torch.uint8)
    masks[0, 8:24, 4:20] = 1
    boxes = to_network_coords(torch.tensor([[24.0, 18, 40, 34]]), placement.padded, conventions.input)
    (found,) = mask_targets(masks, boxes, torch.tensor([0]), [4], placement, conventions)
    assert torch.equal(found.round(), torch.ones(1, 4, 4))


def test_losses_are_normalised_by_the_conventions() -> None:
    logits, labels = torch.tensor([0.0, 0.0]), torch.tensor([1.0, 0.0])
    deltas, expected = torch.tensor([[2.0, 0, 0, 0]]), torch.zeros(1, 4)
    once = math.log(2)
    cases = {"torchvision": (once, (2 - 1 / 18) / 2), "detectron2": (once / 8, 2 / 16), "matterport": (once, 1.5 / 4)}
    assert cases.keys() == CONVENTIONS.keys()
    for name, (unsure, off) in cases.items():
        found = rpn_losses(logits, labels, deltas, expected, 16, "smooth_l1", CONVENTIONS[name])
        assert found["rpn_class"].item() == pytest.approx(unsure)
        assert found["rpn_bbox"].item() == pytest.approx(off)
    found = rpn_losses(logits, labels, deltas, expected, 16, "l2", MATTERPORT)
    assert found["rpn_bbox"].item() == pytest.approx(0.5 * 4 / 4)
    nothing = box_head_losses(
        torch.zeros(2, 3), torch.tensor([0, 0]), deltas[:0], expected[:0], "smooth_l1", MATTERPORT
    )
    assert nothing["bbox"].item() == 0


@pytest.mark.parametrize(
    ("name", "of_rpn", "of_boxes"),
    [
        ("torchvision", 6.5 / 4, 6.5 / 5),  # 4 sampled anchors, 5 sampled proposals
        ("detectron2", 6.5 / 16, 6.5 / 5),  # the number of samples in the settings; 5 sampled proposals
        ("matterport", 6.5 / 8, 6.5 / 8),  # the 8 coordinates of the 2 positives
    ],
)
def test_l2_box_losses_match_hand_computed_values(name: str, of_rpn: float, of_boxes: float) -> None:
    """Errors of 2 and 3: (4 + 9) / 2 = 6.5, divided by the number that the conventions define."""
    deltas, expected = torch.tensor([[2.0, 0, 0, 1], [0, 5, 0, 0]]), torch.tensor([[0.0, 0, 0, 1], [0, 2, 0, 0]])
    labels = torch.tensor([1.0, 0, 1, 0])
    found = rpn_losses(torch.zeros(4), labels, deltas, expected, 16, "l2", CONVENTIONS[name])
    assert found["rpn_bbox"].item() == pytest.approx(of_rpn)
    classes = torch.tensor([0, 2, 0, 1, 0])
    found = box_head_losses(torch.zeros(5, 3), classes, deltas, expected, "l2", CONVENTIONS[name])
    assert found["bbox"].item() == pytest.approx(of_boxes)


def test_the_class_loss_matches_hand_computed_values() -> None:
    """Probabilities 1/2 and 1/4 of the true class: the mean of log 2 and log 4."""
    logits = torch.tensor([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25]]).log()
    nothing = torch.zeros(0, 4)
    found = box_head_losses(logits, torch.tensor([0, 2]), nothing, nothing, "smooth_l1", TORCHVISION)
    assert found["class"].item() == pytest.approx(1.5 * math.log(2))


def test_the_mask_loss_matches_hand_computed_values() -> None:
    """Half of the pixels are certain and right, half give the truth 1/4: the mean of 0 and log 4."""
    sure, unsure = 50.0, math.log(1 / 3)
    maps = torch.tensor([[[sure, unsure], [-sure, -unsure]]])
    truth = torch.tensor([[[1.0, 1], [0, 0]]])
    assert mask_loss(maps, truth).item() == pytest.approx(math.log(4) / 2)
    assert mask_loss(maps[:0], truth[:0]).item() == 0


@pytest.mark.parametrize("name", list(CONVENTIONS))
def test_boxes_that_do_not_count_change_no_loss(name: str) -> None:
    """Label -1: neither the sums nor what they are divided by."""
    conventions, generator = CONVENTIONS[name], torch.Generator().manual_seed(0)
    logits, deltas, expected = (torch.randn((6, 4), generator=generator) for _ in range(3))
    labels = torch.tensor([1, 0, 1, 0, -1, -1])
    padded = torch.where((labels > 0)[:, None], expected, deltas)
    found = rpn_losses(logits[:, 0], labels.float(), deltas, padded, 6, "smooth_l1", conventions)
    found |= box_head_losses(logits, labels, deltas, padded, "smooth_l1", conventions)
    real, objects = labels >= 0, labels > 0
    alone = rpn_losses(
        logits[real, 0], labels[real].float(), deltas[objects], expected[objects], 6, "smooth_l1", conventions
    )
    alone |= box_head_losses(logits[real], labels[real], deltas[objects], expected[objects], "smooth_l1", conventions)
    for loss, value in found.items():
        torch.testing.assert_close(value, alone[loss])
