"""The bookkeeping of converted weights."""

import torch

from clothseg.weights import ConvertedWeights
from clothseg.weights.converted import prepend_background


def test_two_keys_can_make_one_tensor() -> None:
    converted = ConvertedWeights("test", "")
    converted.add("norm/mean", "norm.running_mean", torch.tensor([3.0]))
    converted.update("norm.running_mean", "conv/bias", "subtracted", lambda mean: mean - 1)
    assert converted.tensors["norm.running_mean"].tolist() == [2]
    assert converted.renamed == {"norm/mean": "norm.running_mean", "conv/bias": "norm.running_mean"}
    assert converted.changed == {"conv/bias": "subtracted"}


def test_background_gets_rows_of_zeros_in_the_first_place() -> None:
    rows = torch.arange(1.0, 9.0).reshape(4, 2)  # 2 classes with 2 rows
    assert prepend_background(rows, 2).tolist() == [[0, 0], [0, 0], [1, 2], [3, 4], [5, 6], [7, 8]]
