"""The losses on a few pixels, by hand."""

import math

import pytest
import torch

from clothseg.networks.deeplab.losses import center_loss, offset_loss, pixel_loss
from clothseg.networks.deeplab.targets import IGNORED

LOGITS = torch.log(torch.tensor([[[[0.5, 0.9, 0.2, 0.6]], [[0.5, 0.1, 0.8, 0.4]]]]))
"""Probabilities of two classes of four pixels."""
TRUTH = torch.tensor([[[0, 0, 0, 1]]])
LOSSES = [-math.log(p) for p in (0.5, 0.9, 0.2, 0.4)]


def test_the_mean_is_over_labelled_pixels() -> None:
    assert pixel_loss(LOGITS, TRUTH).item() == pytest.approx(sum(LOSSES) / 4)
    ignored = torch.tensor([[[0, IGNORED, 0, 1]]])
    assert pixel_loss(LOGITS, ignored).item() == pytest.approx((LOSSES[0] + LOSSES[2] + LOSSES[3]) / 3)


def test_hard_pixels_are_those_of_highest_loss() -> None:
    assert pixel_loss(LOGITS, TRUTH, hard_pixels=0.5).item() == pytest.approx((LOSSES[2] + LOSSES[3]) / 2)
    assert pixel_loss(LOGITS, TRUTH, hard_pixels=0.26).item() == pytest.approx(LOSSES[2])
    assert pixel_loss(LOGITS, TRUTH, hard_pixels=0.01).item() == pytest.approx(LOSSES[2])


def test_weights_come_before_the_choice_of_hard_pixels() -> None:
    weights = torch.tensor([[[9.0, 1.0, 1.0, 1.0]]])
    assert pixel_loss(LOGITS, TRUTH, weights, 0.25).item() == pytest.approx(9 * LOSSES[0])


def test_hard_pixels_are_a_fraction_of_all_ignored_ones_too() -> None:
    ignored = torch.tensor([[[0, IGNORED, IGNORED, IGNORED]]])
    assert pixel_loss(LOGITS, ignored, hard_pixels=0.5).item() == pytest.approx(LOSSES[0] / 2)
    assert pixel_loss(LOGITS, ignored, hard_pixels=1.0).item() == pytest.approx(LOSSES[0] / 4)


@pytest.mark.parametrize("hard_pixels", [None, 0.5, 1.0])
def test_a_photo_without_labelled_pixel_has_no_loss_and_no_gradient(hard_pixels: float | None) -> None:
    logits = LOGITS.clone().requires_grad_()
    loss = pixel_loss(logits, torch.full_like(TRUTH, IGNORED), hard_pixels=hard_pixels)
    torch.autograd.backward(loss)
    assert loss.item() == 0 and logits.grad is not None and not logits.grad.any()


def test_center_and_offset_losses_are_means_over_weighted_pixels() -> None:
    heat, truth, weights = torch.tensor([[[0.5, 0.2]]]), torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[1.0, 1.0]]])
    assert center_loss(heat, truth, weights).item() == pytest.approx((0.25 + 0.04) / 2)
    offsets, goal = torch.tensor([[[[1.0, 9.0]], [[-2.0, 9.0]]]]), torch.zeros((1, 2, 1, 2))
    assert offset_loss(offsets, goal, torch.tensor([[[1.0, 0.0]]])).item() == pytest.approx(3)
    assert center_loss(heat, truth, torch.zeros((1, 1, 2))).item() == 0
    assert offset_loss(offsets, goal, torch.zeros((1, 1, 2))).item() == 0
