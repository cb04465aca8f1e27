"""What depends on the weights alone is computed when a network is exported."""

import pytest
import torch

from clothseg.config import Config
from clothseg.networks import build_network
from clothseg.networks.onnx.exported_module import export_function


@pytest.mark.parametrize("preset", ["demo", "small-deeplab"])
def test_weights_of_convolutions_are_constants(preset: str) -> None:
    """The convolutions of EfficientNet multiply their weights by the scale of a norm; only constants get 8 bits."""
    network = build_network(Config.load(preset, ["input.height=64", "input.width=64"]), 3).eval()
    model = export_function(network, lambda x: tuple(network.forward_dense(x)), [torch.zeros(1, 3, 64, 64)]).model
    constants = {tensor.name for tensor in model.graph.initializer}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    assert len(convolutions) > 40
    assert [node.name for node in convolutions if node.input[1] not in constants] == []
