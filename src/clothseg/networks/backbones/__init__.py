"""Backbones: five stages that can be frozen, behind one interface."""

from clothseg.networks.backbones.backbone import STAGES, Backbone
from clothseg.networks.backbones.build import build_backbone
from clothseg.networks.backbones.resnet import DEEP_STEMS, RESNETS, ResNetConventions

__all__ = ["DEEP_STEMS", "RESNETS", "STAGES", "Backbone", "ResNetConventions", "build_backbone"]
