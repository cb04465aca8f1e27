"""The backbone of a network: five stages, some of them frozen, behind one interface."""

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from clothseg import cpu_path
from clothseg.errors import ConfigError

STAGES = 5


class Backbone(nn.Module):
    """A convolutional network cut into five stages; `forward` gives the outputs at the requested strides.

    Args:
        model: the network, under its own names.
        plan: for each stage the names of `model`'s parts, in the order in which they run.
        channels: of each stage's output.
        strides: of each stage's output, if no stage were dilated.
        levels: outputs that the network needs, by the power of two of their stride.
        frozen: number of frozen stages.
        channels_last: whether it trains in that memory order on a GPU too, in which depthwise convolutions
            (EfficientNet) are faster; on a CPU every backbone runs in it.
        output_stride: largest stride of a stage, beyond which stages are dilated.

    With `recompute` set (activation checkpointing), a trained stage keeps only its input for the backward pass and is
    computed again there: the same numbers, less memory, more time.
    """

    def __init__(
        self,
        model: nn.Module,
        plan: list[list[str]],
        channels: list[int],
        strides: list[int],
        levels: tuple[int, ...],
        frozen: int,
        *,
        channels_last: bool = False,
        output_stride: int = 32,
    ) -> None:
        super().__init__()
        self.channels_last = channels_last
        self.model, self.plan, self.frozen, self.recompute = model, plan, 0, False
        last = {stride: stage for stage, stride in enumerate(strides)}
        missing = [level for level in levels if level <= STAGES and 1 << level not in last]
        if missing:
            raise ConfigError(f"this backbone has no level {missing}; its strides are {sorted(last)}")
        self.outputs = [last[1 << level] for level in levels if level <= STAGES]
        self.channels = [channels[stage] for stage in self.outputs]
        self.finest_stride = min(strides[self.outputs[0]], output_stride)
        self.freeze(frozen)

    @property
    def has_idle_stages(self) -> bool:
        """Whether stages after the last requested output never run."""
        return max(self.outputs) < len(self.plan) - 1

    def freeze(self, stages: int) -> None:
        """Freezes the first `stages` stages, and trains the others."""
        self.frozen = stages
        for stage, names in enumerate(self.plan):
            for name in names:
                self.model.get_submodule(name).requires_grad_(stage >= stages)
        self.train(self.training)

    def train(self, mode: bool = True) -> "Backbone":
        """Sets the mode like any module; frozen stages stay in `eval`, so that dropout is off in them."""
        super().train(mode)
        for names in self.plan[: self.frozen]:
            for name in names:
                self.model.get_submodule(name).eval()
        return self

    def forward_frozen(self, pixels: Tensor) -> dict[int, Tensor]:
        """Outputs of the frozen stages that the rest needs, by stage; `{-1: pixels}` if no stage is frozen.

        Args:
            pixels: `[B, 3, H, W]`, normalised.
        """
        if not self.frozen:
            return {-1: pixels}
        with torch.no_grad():
            outputs = self._run(pixels, range(self.frozen))
        return {stage: x for stage, x in outputs.items() if stage in self.outputs or stage == self.frozen - 1}

    def forward_trainable(self, outputs: dict[int, Tensor]) -> list[Tensor]:
        """The outputs `[B, C, h, w]` that the network needs, finest first, from those of `forward_frozen`."""
        last = max(outputs)
        outputs = outputs | self._run(outputs[last], range(last + 1, max(self.outputs) + 1))
        return [outputs[stage] for stage in self.outputs]

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """The outputs `[B, C, h, w]` that the network needs, finest first."""
        return self.forward_trainable(self.forward_frozen(pixels))

    def _run(self, x: Tensor, stages: range) -> dict[int, Tensor]:
        outputs = {}
        x = cpu_path.in_fast_order(x)
        if self.channels_last and self.training:
            x = x.contiguous(memory_format=torch.channels_last)
        for stage in stages:
            if self.recompute and torch.is_grad_enabled():
                x = checkpoint(self._stage, stage, x, use_reentrant=False)
            else:
                x = self._stage(stage, x)
            outputs[stage] = x
        return outputs

    def _stage(self, stage: int, x: Tensor) -> Tensor:
        for name in self.plan[stage]:
            x = self.model.get_submodule(name)(x)
        return x
