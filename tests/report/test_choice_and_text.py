import numpy as np
import pytest
import torch

from clothseg.evaluation import ClassMetrics, Metrics
from clothseg.instances import Instances, PixelMasks
from clothseg.report.choice import agreement, ends_and_between, spread
from clothseg.report.examples import window
from clothseg.report.text import anchors, duration, listed, weakest_class


def strips(rows: list[tuple[int, int, int]], crowd: tuple[bool, ...] = ()) -> Instances:
    """Objects of 10 x 100 pixels: class, first and last column."""
    masks = torch.zeros((len(rows), 10, 100), dtype=torch.bool)
    for mask, (_, start, stop) in zip(masks, rows, strict=True):
        mask[:, start:stop] = True
    return Instances(
        size=(10, 100),
        boxes=torch.tensor([[a, 0, b, 10] for _, a, b in rows], dtype=torch.float32).reshape(-1, 4),
        classes=torch.tensor([c for c, _, _ in rows], dtype=torch.int64),
        masks=PixelMasks(masks),
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


@pytest.mark.parametrize(("count", "wanted"), [(0, 12), (5, 12), (12, 12), (13, 12), (1000, 12), (7, 1)])
def test_spread_has_both_ends_and_no_doubles(count: int, wanted: int) -> None:
    positions = spread(count, wanted)
    assert len(positions) == len(set(positions)) == min(count, wanted)
    assert positions == sorted(positions)
    if count and wanted > 1:
        assert (positions[0], positions[-1]) == (0, count - 1)
        assert np.ptp(np.diff(positions)) <= 1 if len(positions) > 1 else True


def metrics(**ap50: float | None) -> Metrics:
    classes = {name: ClassMetrics(4, {"mask_AP50": value}) for name, value in ap50.items()}
    return Metrics({"mask_AP50": 0.5}, classes, photos=3, detections=9)


def test_the_weakest_class_is_computed() -> None:
    assert weakest_class(metrics(Suit=0.7, Dress=0.251, Jeans=None)) == "Weakest class: Dress (AP50 25.1 on 4 objects)."
    assert "jacket" in weakest_class(metrics(Suit=0.1, Dress=0.2))
    assert weakest_class(metrics(Dress=0.2)) == ""
    assert weakest_class(metrics(Dress=0.0, Suit=0.0)) == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (8.23, "8.2 s"),
        (59.99, "1 min 00 s"),
        (231, "3 min 51 s"),
        (3599.9, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_lists_of_words() -> None:
    assert [listed(w) for w in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]


def test_the_ends_are_shown_whole_and_the_rest_is_spread() -> None:
    assert ends_and_between(12, 4) == list(range(12))
    assert ends_and_between(3, 4) == [0, 1, 2]
    chosen = ends_and_between(100, 4)
    assert chosen[:4] == [0, 1, 2, 3]
    assert chosen[-4:] == [96, 97, 98, 99]
    assert len(chosen) == len(set(chosen)) == 12
    assert chosen == sorted(chosen)


@pytest.mark.parametrize(
    "boxes", [[[0.0, 0, 3, 3]], [[180, 90, 200, 100], [0, 0, 4, 4]], [[99.5, 20, 100.5, 99]], [[198, 97, 200, 100]]]
)
def test_the_window_holds_all_boxes_and_lies_in_the_photo(boxes: list[list[float]]) -> None:
    x1, y1, x2, y2 = window(np.array(boxes), (100, 200))
    assert 0 <= x1 < x2 <= 200
    assert 0 <= y1 < y2 <= 100
    for box in boxes:
        assert x1 <= box[0]
        assert y1 <= box[1]
        assert box[2] <= x2
        assert box[3] <= y2
    assert min(x2 - x1, y2 - y1) >= 30  # more than a small object itself


@pytest.mark.parametrize("known", [None, {}, {"reach": {}}, {"reach": 3}, "text", [1]])
def test_nothing_is_said_of_anchors_that_nobody_looked_at(known: object) -> None:
    assert anchors(known) == []
