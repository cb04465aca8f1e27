"""The part of a network whose shapes follow from the input, exported by torch and taken into the graph."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from clothseg.networks.input import InputTransform
from clothseg.networks.onnx.exported_module import export_function
from clothseg.networks.onnx.graph import Value


def include_dense(
    pixels: Value, module: nn.Module, function: Callable[[Tensor], tuple[Tensor, ...]], transform: InputTransform
) -> list[Value]:
    """The results of a function of the network's input `[1, 3, H, W]`, as values of the graph of `pixels`."""
    height, width = transform.place((480, 352)).padded
    example = torch.zeros((1, 3, height, width))
    fixed = transform.settings.has_fixed_frame or transform.settings.resize == "square"
    exported = export_function(module, function, [example], None if fixed else [(2, 3)])
    return pixels.graph.include(exported, [pixels])
