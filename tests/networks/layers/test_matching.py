"""Matching of boxes to ground truth, and sampling, against hand-computed values."""

import torch

from clothseg.networks.layers.matching import IGNORED, NEGATIVE, match_boxes, sample

TRUTH = torch.tensor([[0.0, 0, 10, 10], [100, 100, 110, 110]])
BOXES = torch.tensor(
    [
        [0.0, 0, 10, 10],  # IoU 1 with the first
        [0, 0, 10, 5],  # 0.5 with the first
        [0, 0, 10, 2],  # 0.2 with the first
        [100, 100, 140, 140],  # 1 / 16 with the second, its best match
        [60, 60, 160, 160],  # 0.01 with the second
        [300, 300, 310, 310],  # none
    ]
)
NO_BOXES = torch.zeros(0, 4)


def matched(truth: torch.Tensor, ignored: torch.Tensor, *, keep_best: bool) -> list[int]:
    return match_boxes(BOXES, truth, ignored, foreground=0.7, background=0.3, keep_best=keep_best).tolist()


def test_matches_equal_hand_computed_values() -> None:
    rest = [NEGATIVE, NEGATIVE]
    assert matched(TRUTH, NO_BOXES, keep_best=False) == [0, IGNORED, NEGATIVE, NEGATIVE, *rest]
    assert matched(TRUTH, NO_BOXES, keep_best=True) == [0, IGNORED, NEGATIVE, 1, *rest]


def test_an_iou_equal_to_the_threshold_is_a_match() -> None:
    found = match_boxes(BOXES[:2], TRUTH, NO_BOXES, foreground=0.5, background=0.5, keep_best=False)
    assert found.tolist() == [0, 0]
    found = match_boxes(BOXES[:2], TRUTH, NO_BOXES, foreground=0.7, background=0.5, keep_best=False)
    assert found.tolist() == [0, IGNORED]


def test_without_ground_truth_all_are_negative() -> None:
    assert matched(NO_BOXES, NO_BOXES, keep_best=True) == [NEGATIVE] * 6


def test_unmatched_boxes_in_a_crowd_are_ignored() -> None:
    crowd = torch.tensor([[0.0, 0, 20, 20], [305, 290, 400, 400], [60, 60, 160, 109]])
    expected = [
        0,
        IGNORED,
        IGNORED,
        NEGATIVE,
        NEGATIVE,
        IGNORED,
    ]  # the last is half in a crowd, the one before 0.49
    assert matched(TRUTH, crowd, keep_best=False) == expected
    assert matched(NO_BOXES, crowd, keep_best=False) == [IGNORED] * 3 + [NEGATIVE, NEGATIVE, IGNORED]


def test_samples_have_the_requested_size_and_positive_fraction() -> None:
    matches = torch.tensor([0] * 10 + [NEGATIVE] * 30 + [IGNORED] * 20)
    positive, negative = sample(matches, 16, 0.25, torch.Generator().manual_seed(0))
    assert (len(positive), len(negative)) == (4, 12)
    assert bool((matches[positive] == 0).all())
    assert bool((matches[negative] == NEGATIVE).all())
    for chosen in (positive.tolist(), negative.tolist()):
        assert chosen == sorted(set(chosen))
    again = sample(matches, 16, 0.25, torch.Generator().manual_seed(0))
    assert torch.equal(positive, again[0])
    other = sample(matches, 16, 0.25, torch.Generator().manual_seed(1))
    assert not torch.equal(negative, other[1])


def test_negatives_fill_the_sample_if_positives_are_few() -> None:
    matches = torch.tensor([3, NEGATIVE, NEGATIVE, NEGATIVE, NEGATIVE])
    positive, negative = sample(matches, 4, 0.5, torch.Generator())
    assert positive.tolist() == [0]
    assert len(negative) == 3
    positive, negative = sample(matches, 100, 0.5, torch.Generator())
    assert (positive.tolist(), negative.tolist()) == ([0], [1, 2, 3, 4])
