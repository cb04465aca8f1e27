"""The trunk of a network: five stages, some of them frozen. One adapter for our ResNets and timm's extractors."""

from itertools import pairwise
from typing import Any

import timm
import torch
from timm.utils.model import freeze_batch_norm_2d  # type: ignore[attr-defined]
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from clothseg.config import Backbone
from clothseg.errors import ConfigError
from clothseg.networks.backbones.resnet import BasicBlock, Bottleneck, ResNet
from clothseg.networks.layers.norms import norm_called
from clothseg.networks.mask_rcnn.conventions import TORCHVISION, Conventions

RESNETS: dict[str, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, int, int, int], int, int]] = {
    "resnet18": (BasicBlock, (2, 2, 2, 2), 1, 64),
    "resnet34": (BasicBlock, (3, 4, 6, 3), 1, 64),
    "resnet50": (Bottleneck, (3, 4, 6, 3), 1, 64),
    "resnet101": (Bottleneck, (3, 4, 23, 3), 1, 64),
    "resnext101_32x8d": (Bottleneck, (3, 4, 23, 3), 32, 8),
}
STAGES = 5


class Trunk(nn.Module):
    """A convolutional network cut into five stages, whose outputs at the wanted strides it hands out.

    Args:
        model: the network, under its own names.
        plan: for each stage the names of `model`'s parts that are run in order.
        channels: of each stage's output.
        strides: of each stage's output.
        levels: wanted outputs, by the power of two of their stride.
        frozen: how many stages keep their weights.
        channels_last: whether it learns in that memory order, which convolutions of one channel each (EfficientNet)
            like; the last digits differ.

    With `recompute` set, a trained stage keeps its input alone for the backward pass and is computed a second time
    there: the same numbers, less memory, more time.
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
    ) -> None:
        super().__init__()
        self.channels_last = channels_last
        self.model, self.plan, self.frozen, self.recompute = model, plan, 0, False
        last = {stride: stage for stage, stride in enumerate(strides)}
        missing = [level for level in levels if level <= STAGES and 1 << level not in last]
        if missing:
            raise ConfigError(f"pyramid.levels: this backbone has no level {missing}; its strides are {sorted(last)}")
        self.wanted = [last[1 << level] for level in levels if level <= STAGES]
        self.channels = [channels[stage] for stage in self.wanted]
        self.freeze(frozen)

    def freeze(self, stages: int) -> None:
        """Let the first `stages` keep their weights, and the others learn."""
        self.frozen = stages
        for stage, names in enumerate(self.plan):
            for name in names:
                self.model.get_submodule(name).requires_grad_(stage >= stages)
        self.train(self.training)

    def train(self, mode: bool = True) -> "Trunk":
        """As of any module; frozen stages stay in `eval`, so that nothing is dropped in them."""
        super().train(mode)
        for names in self.plan[: self.frozen]:
            for name in names:
                self.model.get_submodule(name).eval()
        return self

    def frozen_part(self, pixels: Tensor) -> dict[int, Tensor]:
        """Outputs of the frozen stages that are wanted or needed to go on, by stage; `{-1: pixels}` if none is frozen.

        Args:
            pixels: `[B, 3, H, W]`, normalised.
        """
        if not self.frozen:
            return {-1: pixels}
        with torch.no_grad():
            outputs = self._run(pixels, range(self.frozen))
        return {stage: x for stage, x in outputs.items() if stage in self.wanted or stage == self.frozen - 1}

    def trained_part(self, outputs: dict[int, Tensor]) -> list[Tensor]:
        """The wanted outputs, finest first, from those of the frozen part."""
        last = max(outputs)
        outputs = outputs | self._run(outputs[last], range(last + 1, max(self.wanted) + 1))
        return [outputs[stage] for stage in self.wanted]

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """The wanted outputs `[B, C, h, w]`, finest first."""
        return self.trained_part(self.frozen_part(pixels))

    def _run(self, x: Tensor, stages: range) -> dict[int, Tensor]:
        outputs = {}
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


def build_trunk(settings: Backbone, levels: tuple[int, ...], conventions: Conventions = TORCHVISION) -> Trunk:
    """The trunk by its name.

    Raises:
        ConfigError: the name is not known, or the model cannot be cut into stages.
    """
    if settings.name.startswith("timm/"):
        return _timm_trunk(settings, levels)
    if settings.name not in RESNETS:
        raise ConfigError(f"backbone.name: {settings.name!r} is none of {', '.join(RESNETS)}, nor timm/NAME")
    block, depths, groups, width = RESNETS[settings.name]
    norm = norm_called(settings.norm, conventions.norm_eps)
    if norm is None:
        raise ConfigError("backbone.norm: a ResNet needs a norm; choose frozen or group")
    model = ResNet(
        block,
        depths,
        norm,
        groups,
        width,
        dropout=settings.dropout,
        stride_first=conventions.stride_first,
        pool_symmetric=conventions.pool_symmetric,
    )
    plan = [["conv1", "norm1", "relu", "maxpool"], ["layer1"], ["layer2"], ["layer3"], ["layer4"]]
    return Trunk(model, plan, model.channels, [4, 4, 8, 16, 32], levels, settings.frozen_stages)


def _timm_trunk(settings: Backbone, levels: tuple[int, ...]) -> Trunk:
    name = settings.name.removeprefix("timm/")
    if settings.dropout:
        raise ConfigError(f"backbone.dropout: only our own ResNets have it, not {settings.name}")
    try:
        model: Any = timm.create_model(name, features_only=True)
    except (RuntimeError, AttributeError, TypeError) as error:
        close = ", ".join(timm.list_models(f"*{name}*")[:5]) or "see timm.list_models()"
        raise ConfigError(f"backbone.name: timm has no feature extractor {name!r} ({error}); near: {close}") from error
    if str(getattr(model, "output_fmt", "NCHW")).rsplit(".", 1)[-1] != "NCHW":
        raise ConfigError(f"backbone.name: {settings.name} orders its features other than [B, C, H, W]; choose another")
    ends = [
        place.replace(".", "_") if isinstance(model, nn.ModuleDict) else place
        for place in model.feature_info.module_name()
    ]
    parts = _parts(model)
    if any(end not in parts for end in ends):
        raise ConfigError(f"backbone.name: {settings.name} cannot be cut into stages; choose a plain convolutional one")
    cuts = [0, *(parts.index(end) + 1 for end in ends)]
    plan = [parts[start:stop] for start, stop in pairwise(cuts)]
    channels, strides = list(model.feature_info.channels()), list(model.feature_info.reduction())
    while len(plan) < STAGES:  # networks whose first stage has stride 4, such as ConvNeXt
        plan, channels, strides = [[], *plan], [3, *channels], [1, *strides]
    if settings.norm == "frozen":
        model = freeze_batch_norm_2d(model)  # type: ignore[no-untyped-call]
    return Trunk(model, plan, channels, strides, levels, settings.frozen_stages, channels_last=True)


def _parts(model: nn.Module) -> list[str]:
    """Names of the parts of a timm extractor in the order in which they run."""
    parts: list[str] = []
    for name, child in model.named_children():
        if name == "blocks" and not isinstance(model, nn.ModuleDict):
            parts += [f"blocks.{number}" for number in range(len(list(child.children())))]
        else:
            parts.append(name)
    return parts
