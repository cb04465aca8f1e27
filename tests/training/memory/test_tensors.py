"""Bytes of tensors that live at once."""

import torch

from clothseg.training.memory.tensors import LiveBytes


def test_live_bytes_by_hand() -> None:
    with LiveBytes() as live:
        one = torch.zeros(1000)  # 4000 bytes
        two = one.view(10, 100) + 1  # 4000 more; the view is none
        del one
        assert (live.now, live.peak) == (4000, 8000)
        two.mul_(2)
        half = two.half()
        assert (live.now, live.peak) == (6000, 8000)
    del two, half
    assert live.now == 0
