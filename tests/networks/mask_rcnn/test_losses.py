"""The losses against hand-computed values."""

import math

import pytest
import torch

from clothseg.networks.mask_rcnn.conventions import CONVENTIONS, MATTERPORT, TORCHVISION
from clothseg.networks.mask_rcnn.losses import box_head_losses, mask_loss, rpn_losses


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
