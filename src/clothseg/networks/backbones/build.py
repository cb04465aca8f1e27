"""From the name of a backbone to the backbone."""

from clothseg.config import BackboneSettings
from clothseg.errors import ConfigError
from clothseg.networks.backbones.backbone import Backbone
from clothseg.networks.backbones.mobilenet import MOBILENET, build_mobilenet
from clothseg.networks.backbones.resnet import DEEP_STEMS, RESNETS, ResNet, ResNetConventions
from clothseg.networks.backbones.timm import build_timm
from clothseg.networks.layers.norms import make_norm


def build_backbone(
    settings: BackboneSettings,
    levels: tuple[int, ...],
    conventions: ResNetConventions | None = None,
    output_stride: int = 32,
) -> Backbone:
    """The backbone that the settings name.

    Args:
        settings: the section `backbone` of the configuration.
        levels: outputs that the network needs, by the power of two of their stride; those above 5 are not made here.
        conventions: of our ResNets; torchvision's by default.
        output_stride: of the last stage, 8, 16 or 32. A level keeps its number where dilation keeps its stride: level 5
            is the last stage.

    Raises:
        ConfigError: the name is not known, or the model cannot be cut into stages.
    """
    if settings.name.startswith("timm/"):
        return build_timm(settings, levels, output_stride)
    if settings.name not in {*RESNETS, MOBILENET}:
        raise ConfigError(
            f"backbone.name: {settings.name!r} is not known; choose one of {', '.join(RESNETS)}, {MOBILENET}, or "
            "timm/NAME"
        )
    conventions = conventions or ResNetConventions()
    norm = make_norm(settings.norm, conventions.norm_eps, conventions.norm_momentum)
    if settings.name == MOBILENET and norm is not None:
        return build_mobilenet(settings, levels, norm, output_stride)
    block, depths, groups, width = RESNETS[settings.name]
    if norm is None:
        raise ConfigError("backbone.norm: a ResNet needs a norm; choose frozen or group")
    model = ResNet(
        block,
        depths,
        norm,
        groups,
        width,
        dropout=settings.dropout,
        conventions=conventions,
        output_stride=output_stride,
        deep_stem=settings.name in DEEP_STEMS,
    )
    plan = [["conv1", "norm1", "relu", "maxpool"], ["layer1"], ["layer2"], ["layer3"], ["layer4"]]
    return Backbone(
        model, plan, model.channels, [4, 4, 8, 16, 32], levels, settings.frozen_stages, output_stride=output_stride
    )
