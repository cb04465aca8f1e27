"""The agreement of detections and ground truth by hand, and the choice of photos."""

import pytest
import torch

from clothseg.instances import Instances, PixelMasks
from clothseg.report.choice import agreement, ends_and_between


def strips(rows: list[tuple[int, int, int]], crowd: tuple[bool, ...] = (), scores: tuple[float, ...] = ()) -> Instances:
    """Objects of 10 x 100 pixels: class, first and last column."""
    masks = torch.zeros((len(rows), 10, 100), dtype=torch.bool)
    for mask, (_, start, stop) in zip(masks, rows, strict=True):
        mask[:, start:stop] = True
    return Instances(
        size=(10, 100),
        boxes=torch.tensor([[a, 0, b, 10] for _, a, b in rows], dtype=torch.float32).reshape(-1, 4),
        classes=torch.tensor([c for c, _, _ in rows], dtype=torch.int64),
        masks=PixelMasks(masks),
        scores=torch.tensor(scores),
        crowd=torch.tensor(crowd, dtype=torch.bool),
    )


@pytest.mark.parametrize(
    ("found", "truth", "expected"),
    [
        ([], [], 1.0),
        ([(1, 0, 10)], [], 0.0),
        ([], [(1, 0, 10)], 0.0),
        ([(1, 0, 10)], [(1, 0, 10)], 1.0),
        ([(2, 0, 10)], [(1, 0, 10)], 0.0),
        ([(1, 0, 30)], [(1, 0, 40)], 0.75),
        ([(1, 0, 10), (1, 0, 10)], [(1, 0, 10)], 0.5),
        ([(1, 0, 10)], [(1, 0, 10), (2, 50, 60)], 0.5),
    ],
)
def test_agreement_by_hand(
    found: list[tuple[int, int, int]], truth: list[tuple[int, int, int]], expected: float
) -> None:
    assert agreement(strips(found), strips(truth)) == pytest.approx(expected)


def test_detections_on_a_crowd_do_not_count() -> None:
    truth = strips([(1, 0, 10), (1, 50, 100)], crowd=(False, True))
    assert agreement(strips([(1, 0, 10), (1, 60, 70)]), truth) == 1.0
    assert agreement(strips([(1, 0, 10), (1, 30, 40)]), truth) == 0.5


def test_the_detection_with_the_highest_score_chooses_first() -> None:
    """It takes the object in columns 0 to 9; the IoU of the other detection with the second object is 5 / 20."""
    truth = strips([(1, 0, 10), (1, 10, 20)])
    found = strips([(1, 0, 15), (1, 0, 10)], scores=(0.3, 0.9))
    assert agreement(found, truth) == pytest.approx((1.0 + 5 / 20) / 2)
    found = strips([(1, 0, 15), (1, 0, 10)], scores=(0.9, 0.3))
    assert agreement(found, truth) == pytest.approx(10 / 15 / 3)


def test_both_ends_are_complete_and_the_rest_is_spread() -> None:
    assert ends_and_between(12, 4) == list(range(12))
    assert ends_and_between(3, 4) == [0, 1, 2]
    chosen = ends_and_between(100, 4)
    assert chosen[:4] == [0, 1, 2, 3]
    assert chosen[-4:] == [96, 97, 98, 99]
    assert len(chosen) == len(set(chosen)) == 12
    assert chosen == sorted(chosen)
