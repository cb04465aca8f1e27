"""Box deltas against hand-computed values, and decoding after encoding."""

import math

import pytest
import torch

from clothseg.networks.layers.box_coder import decode_boxes, encode_boxes

WEIGHTS = (10.0, 10.0, 5.0, 5.0)


def test_deltas_match_hand_computed_values() -> None:
    """The centre moves from (5, 10) to (10, 30): half the width and one height. The height doubles."""
    reference, box = torch.tensor([[0.0, 0, 10, 20]]), torch.tensor([[5.0, 10, 15, 50]])
    deltas = encode_boxes(box, reference, WEIGHTS)
    torch.testing.assert_close(deltas, torch.tensor([[5.0, 10, 0, 5 * math.log(2)]]))
    torch.testing.assert_close(decode_boxes(deltas, reference, WEIGHTS, math.inf), box)


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0, 1.0), WEIGHTS])
def test_decoding_undoes_encoding(weights: tuple[float, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    corner, extent = (torch.rand((2, 100, 2), generator=generator) * 200 + 1 for _ in range(2))
    boxes, references = torch.cat([corner, corner + extent], dim=2)
    deltas = encode_boxes(boxes, references, weights)
    torch.testing.assert_close(decode_boxes(deltas, references, weights, math.inf), boxes, atol=1e-3, rtol=1e-5)


def test_deltas_of_all_classes_use_the_same_reference() -> None:
    references = torch.tensor([[0.0, 0, 10, 10], [20, 20, 40, 40]])
    deltas = torch.zeros(2, 3, 4)
    deltas[1, 2, 0] = 5  # half a width, with weight 10
    found = decode_boxes(deltas, references, WEIGHTS, math.inf)
    assert found.shape == (2, 3, 4)
    assert torch.equal(found[:, 0], references)
    assert found[1, 2].tolist() == [30, 20, 50, 40]


def test_large_deltas_are_clipped() -> None:
    deltas = torch.tensor([[0.0, 0, 500, 0]])
    found = decode_boxes(deltas, torch.tensor([[0.0, 0, 10, 10]]), WEIGHTS, math.log(3))
    torch.testing.assert_close(found, torch.tensor([[-10.0, 0, 20, 10]]))  # three times as wide
