"""The mean over a photo, worked by hand."""

import torch

from clothseg.networks.photo_mean import photo_mean
from clothseg.networks.placement import InputPlacement


def test_the_padding_does_not_count() -> None:
    """The photo covers the second and third row of 4, and the first column of 2."""
    features = torch.tensor([[[9.0, 9], [1, 9], [3, 9], [9, 9]]])
    placement = InputPlacement(top=8, left=0, height=16, width=8, padded=(32, 16), photo=(100, 50))
    assert photo_mean(features, placement).tolist() == [2.0]


def test_a_cell_that_the_photo_touches_counts() -> None:
    features = torch.tensor([[[2.0, 4, 9, 9]]])
    placement = InputPlacement(top=0, left=0, height=8, width=9, padded=(8, 32), photo=(8, 9))
    assert photo_mean(features, placement).tolist() == [3.0]
