"""A function of torch as an ONNX model of its own, by torch's exporter."""

import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import onnx
import onnx.inliner
import torch
from onnxscript.optimizer import fold_constants
from torch import Tensor, nn

OPSET = 20
"""The version of the operators; onnxruntime has them from 1.17 on."""
_LARGEST = 1 << 26  # bytes of a constant that is computed in advance; torch's exporter stops at 8192


@dataclass(frozen=True)
class ExportedModule:
    """A function of torch as ONNX, without local functions.

    Attributes:
        model: with the function's inputs and results in their order.
    """

    model: onnx.ModelProto


class _Call(nn.Module):
    """A function that reads the weights of a module, as a module."""

    def __init__(self, module: nn.Module, function: Callable[..., tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.module, self.function = module, function

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """What the function returns."""
        return self.function(*inputs)


def export_function(
    module: nn.Module,
    function: Callable[..., tuple[Tensor, ...]],
    examples: Sequence[Tensor],
    dynamic: Sequence[Sequence[int]] | None = None,
) -> ExportedModule:
    """Exports a function that reads the weights of a module in inference mode.

    Nothing in it may depend on values of tensors. torch needs onnxscript for this.

    Args:
        module: with the weights.
        function: of tensors.
        examples: an input of the right types and shapes for each.
        dynamic: for each input the axes of other lengths than the example's; none by default.
    """
    shapes = None
    if dynamic is not None:
        shapes = (tuple(dict.fromkeys(axes, torch.export.Dim.DYNAMIC) for axes in dynamic),)
    noisy = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in noisy]
    try:
        for logger in noisy:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                _Call(module, function).eval(),
                tuple(examples),
                dynamo=True,
                opset_version=OPSET,
                dynamic_shapes=shapes,
                verbose=False,
                external_data=False,
            )
        assert program is not None
        model = onnx.inliner.inline_local_functions(program.model_proto)
        # weights times the scale of a norm
        fold_constants(model, input_size_limit=_LARGEST, output_size_limit=_LARGEST)
    finally:
        for logger, level in zip(noisy, levels, strict=True):
            logger.setLevel(level)
    return ExportedModule(model)
