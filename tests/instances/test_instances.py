"""`Instances`: selection, defaults, errors and `repr`, worked out by hand."""

from typing import Any

import numpy as np
import pytest
import torch

from clothseg.instances import Instances, PixelMasks


def instances(classes: list[int], scores: list[float], crowd: list[bool] | None = None) -> Instances:
    count = len(classes)
    return Instances(
        (480, 640),
        torch.arange(4.0 * count).reshape(count, 4),
        torch.tensor(classes, dtype=torch.int64),
        PixelMasks(torch.zeros((count, 480, 640), dtype=torch.bool)),
        torch.tensor(scores),
        torch.tensor(crowd or [False] * count, dtype=torch.bool),
    )


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (instances([], []), "Instances(0 on 480 x 640 pixels (height x width))"),
        (
            instances([2, 1, 2], [0.5, 0.974, 0.4]),
            "Instances(3 on 480 x 640 pixels (height x width), classes 1: 1, 2: 2, best score 0.97)",
        ),
        (
            instances([3], [1.0], [True]),
            "Instances(1 on 480 x 640 pixels (height x width), classes 3: 1, best score 1.00, crowds 1)",
        ),
    ],
)
def test_repr_is_one_short_line(given: Instances, text: str) -> None:
    assert repr(given) == text


def test_an_index_selects_in_all_fields() -> None:
    chosen = instances([2, 1, 3], [0.9, 0.8, 0.7], [False, True, False])[torch.tensor([2, 1])]
    assert chosen.classes.tolist() == [3, 1]
    assert chosen.scores.tolist() == pytest.approx([0.7, 0.8])
    assert chosen.crowd.tolist() == [False, True]
    assert chosen.boxes.tolist() == [[8, 9, 10, 11], [4, 5, 6, 7]]
    assert len(chosen.masks) == 2


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        ([True, False, True], [2, 3]),
        (np.array([True, False, True]), [2, 3]),
        (torch.tensor([True, False, True]), [2, 3]),
        ([0, -1], [2, 3]),
        (np.array([2, 0]), [3, 2]),
        ([], []),
        (-1, [3]),
        (np.int64(1), [1]),
        (torch.tensor([0.2, 0.9, 0.1]).argmax(), [1]),
        (slice(1, None), [1, 3]),
    ],
)
def test_an_index_is_that_of_numpy(index: Any, expected: list[int]) -> None:
    given = np.array(index, dtype=int) if isinstance(index, list) and not index else index
    assert np.atleast_1d(np.array([2, 1, 3])[given]).tolist() == expected
    found = instances([2, 1, 3], [0.9, 0.8, 0.7])[index]
    assert found.classes.tolist() == expected and len(found.masks) == len(expected)


def test_scores_and_crowd_have_defaults() -> None:
    masks = PixelMasks(torch.zeros((2, 5, 5), dtype=torch.bool))
    truth = Instances((5, 5), torch.zeros((2, 4)), torch.tensor([1, 2]), masks)
    assert truth.scores.tolist() == [1, 1]
    assert truth.crowd.tolist() == [False, False]


def test_fields_of_different_lengths_are_an_error() -> None:
    masks = PixelMasks(torch.zeros((2, 5, 5), dtype=torch.bool))
    with pytest.raises(ValueError, match=r"lengths \[2, 3\]"):
        Instances((5, 5), torch.zeros((2, 4)), torch.tensor([1, 2, 3]), masks)
    with pytest.raises(ValueError, match=r"shape \(2, 5\), expected \[N, 4\]"):
        Instances((5, 5), torch.zeros((2, 5)), torch.tensor([1, 2]), masks)
