"""Bytes of all live tensors."""

import torch

from clothseg.training.memory.tensors import LiveBytes


def test_live_and_peak_bytes_match_hand_computed_values() -> None:
    with LiveBytes() as live:
        one = torch.zeros(1000)  # 4000 bytes
        two = one.view(10, 100) + 1  # 4000 more; the view needs none
        del one
        assert (live.now, live.peak) == (4000, 8000)
        two.mul_(2)
        half = two.half()
        assert (live.now, live.peak) == (6000, 8000)
    del two, half
    assert live.now == 0
