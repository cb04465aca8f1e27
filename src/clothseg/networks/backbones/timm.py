"""Backbones of timm: any convolutional feature extractor, cut into stages."""

from itertools import pairwise
from typing import Any

from torch import nn

from clothseg.config import BackboneSettings
from clothseg.deferred_dynamo import import_without_dynamo
from clothseg.errors import ConfigError
from clothseg.networks.backbones.backbone import STAGES, Backbone
from clothseg.networks.layers.folded_norms import fold_frozen_norms


def build_timm(settings: BackboneSettings, levels: tuple[int, ...], output_stride: int = 32) -> Backbone:
    """The feature extractor `timm/NAME`; see `build_backbone`."""
    name = settings.name.removeprefix("timm/")
    if settings.dropout:
        raise ConfigError(f"backbone.dropout: only the ResNets of clothseg have dropout, not {settings.name}")
    timm = import_without_dynamo("timm")  # here, because the import takes half a second
    dilated = {"output_stride": output_stride} if output_stride < 32 else {}
    try:
        model: Any = timm.create_model(name, features_only=True, **dilated)
    except (RuntimeError, AttributeError, TypeError, AssertionError, NotImplementedError) as error:
        if dilated and timm.is_model(name):
            raise ConfigError(
                f"network.output_stride: {settings.name} cannot be dilated to {output_stride} ({error}); set it to 32, "
                "or choose another backbone"
            ) from error
        close = ", ".join(timm.list_models(f"*{name}*")[:5]) or "see timm.list_models()"
        raise ConfigError(
            f"backbone.name: timm has no feature extractor {name!r} ({error}); similar names: {close}"
        ) from error
    if str(getattr(model, "output_fmt", "NCHW")).rsplit(".", 1)[-1] != "NCHW":
        raise ConfigError(f"backbone.name: {settings.name} does not give features as [B, C, H, W]; choose another")
    ends = [
        place.replace(".", "_") if isinstance(model, nn.ModuleDict) else place
        for place in model.feature_info.module_name()
    ]
    parts = _parts(model)
    if any(end not in parts for end in ends):
        raise ConfigError(
            f"backbone.name: {settings.name} cannot be cut into stages; choose a plain convolutional network"
        )
    cuts = [0, *(parts.index(end) + 1 for end in ends)]
    plan = [parts[start:stop] for start, stop in pairwise(cuts)]
    channels, strides = list(model.feature_info.channels()), list(model.feature_info.reduction())
    strides = _undilated(strides)
    while len(plan) < STAGES:  # networks whose first stage has stride 4, such as ConvNeXt
        plan, channels, strides = [[], *plan], [3, *channels], [1, *strides]
    if settings.norm == "frozen":
        model = import_without_dynamo("timm.utils.model").freeze_batch_norm_2d(model)
        fold_frozen_norms(model)
    return Backbone(model, plan, channels, strides, levels, settings.frozen_stages, channels_last=True,
                    output_stride=output_stride)  # fmt: skip


def _undilated(strides: list[int]) -> list[int]:
    """The strides of stages as if none were dilated, where a dilated stage has that of the one before."""
    undilated: list[int] = []
    for number, stride in enumerate(strides):
        dilated = number > 0 and stride == strides[number - 1]
        undilated.append(undilated[-1] * 2 if dilated else stride)
    return undilated


def _parts(model: nn.Module) -> list[str]:
    """Names of the parts of a timm extractor in the order in which they run."""
    parts: list[str] = []
    for name, child in model.named_children():
        if name == "blocks" and not isinstance(model, nn.ModuleDict):
            parts += [f"blocks.{number}" for number in range(len(list(child.children())))]
        else:
            parts.append(name)
    return parts
