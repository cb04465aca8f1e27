"""The exponential moving average of the weights."""

from pathlib import Path

import pytest
import torch
from torch import nn

from clothseg.training.ema import EmaWeights


def test_ema_matches_hand_computed_values() -> None:
    layer = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        ema = EmaWeights(layer, decay=0.5)
        layer.weight.fill_(3.0)
        ema.update(1)  # keeps 2/11, which is less than the decay
        assert float(ema.weights["weight"]) == pytest.approx(3 - 2 * 2 / 11)
        layer.weight.fill_(5.0)
        ema.update(100)  # keeps a half
    expected = (3 - 4 / 11) / 2 + 2.5
    with ema.applied(layer):
        assert layer.weight.item() == pytest.approx(expected)
    assert layer.weight.item() == 5.0


def test_the_average_moves_to_the_device_of_the_network() -> None:
    """A device without values stands for a GPU: functions that change many tensors at once accept two devices."""
    layer = torch.nn.Linear(2, 1)
    ema = EmaWeights(layer, decay=0.5)
    layer.to("meta")
    ema.update(1)
    assert {name: weight.device.type for name, weight in ema.weights.items()} == {"weight": "meta", "bias": "meta"}


def test_a_checkpoint_shares_what_equals_the_network(tmp_path: Path) -> None:
    """Frozen weights are written once; what is read back are the averages."""
    frozen, trained = nn.Linear(300, 300).requires_grad_(False), nn.Linear(300, 300)
    network = nn.Sequential(frozen, trained)
    ema = EmaWeights(network, 0.9)
    with torch.no_grad():
        trained.weight.add_(1)
    ema.update(5)
    torch.save({"network": network.state_dict(), "ema": ema.checkpoint(network)}, tmp_path / "shared.pt")
    torch.save({"network": network.state_dict(), "ema": ema.weights}, tmp_path / "twice.pt")
    read = torch.load(tmp_path / "shared.pt", weights_only=True)
    assert all(torch.equal(read["ema"][name], average) for name, average in ema.weights.items())
    assert not torch.equal(read["ema"]["1.weight"], read["network"]["1.weight"])
    saved_bytes = (tmp_path / "twice.pt").stat().st_size - (tmp_path / "shared.pt").stat().st_size
    assert saved_bytes > 300 * 300 * 4
