"""DeepLabv3, DeepLabv3+ and Panoptic-DeepLab: the parts put together.

Sources: Chen et al., DeepLabv3 (2017), DeepLabv3+ (2018); Cheng et al., Panoptic-DeepLab (2020).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from clothseg.config import Config, DeepLabSettings
from clothseg.networks.deeplab.conventions import conventions_for
from clothseg.networks.deeplab.heads import AuxHead, HeadBuilder, InstanceHead, SemanticHead
from clothseg.networks.deeplab.losses import center_loss, offset_loss, pixel_loss
from clothseg.networks.deeplab.postprocess import PhotoMaps, detect_by_centers, detect_by_connection
from clothseg.networks.deeplab.targets import (
    Segments,
    center_target,
    make_segments,
    semantic_target,
    small_object_weights,
)
from clothseg.networks.detections import Detections
from clothseg.networks.network import Network
from clothseg.networks.placement import InputConventions, InputPlacement, Size
from clothseg.networks.target import Target

if TYPE_CHECKING:  # they need onnx
    from clothseg.networks.onnx.detections import GraphPixels
    from clothseg.networks.onnx.graph import Value
    from clothseg.networks.onnx.placement import GraphPlacement

LAST, AUX = 5, 4
"""Levels of the backbone that ASPP and the auxiliary head take."""


class DeepLabNetwork(Network):
    """DeepLab for `classes` classes besides background; see `Network`.

    Args:
        config: all settings; its section `network` is that of DeepLab.
        classes: number of classes besides background.
    """

    loss_names: tuple[str, ...] = ("semantic", "aux", "center", "offset")
    head_prefixes: tuple[str, ...] = ("semantic.", "aux.", "instance.")
    class_layers: tuple[str, ...] = ("semantic.predictor.", "aux.predictor.")

    def __init__(self, config: Config, classes: int) -> None:
        settings, conventions = config.network, conventions_for(config)
        assert isinstance(settings, DeepLabSettings)
        super().__init__(config, classes)
        used = {*settings.decoder.levels, LAST} | ({AUX} if settings.aux else set())
        self.levels = tuple(sorted(used))
        stride = settings.output_stride
        self.add_backbone(self.levels, conventions.backbone, stride)
        self.settings, self.conventions = settings, conventions
        channels = dict(zip(self.levels, self.backbone.channels, strict=True))
        self.decoded = (*settings.decoder.levels, LAST)
        builder = HeadBuilder(settings, conventions, [channels[level] for level in self.decoded])
        self.semantic = SemanticHead(builder, classes)
        self.aux = AuxHead(builder, channels[AUX], classes) if settings.aux else None
        self.instance = InstanceHead(builder) if settings.instances == "centers" else None
        self.stride = min(1 << self.decoded[-2], stride) if len(self.decoded) > 1 else stride
        self.loss_names = tuple(settings.weight_by_loss)
        parts = {"semantic": True, "aux": self.aux is not None, "instance": self.instance is not None}
        present = tuple(f"{name}." for name, there in parts.items() if there)
        self.head_prefixes = tuple(p for p in type(self).head_prefixes if p in present)
        self.class_layers = tuple(p for p in type(self).class_layers if p.startswith(present))

    @classmethod
    def input_conventions(cls, config: Config) -> InputConventions:
        """See `Network.input_conventions`."""
        return conventions_for(config).input

    def head_losses(
        self, features: list[Tensor], placements: Sequence[InputPlacement], targets: Sequence[Target]
    ) -> dict[str, Tensor]:
        """`semantic`, and `aux`, `center` and `offset` if the network has them; see `Network.head_losses`."""
        of_level, pixels = dict(zip(self.levels, features, strict=True)), self.settings.pixel_loss
        maps, size = [of_level[level] for level in self.decoded], placements[0].padded
        segments = [make_segments(t, p) for t, p in zip(targets, placements, strict=True)]
        truth = torch.stack([semantic_target(s) for s in segments])
        weights = None
        if pixels.small_object_area:
            rule = pixels.small_object_area, pixels.small_object_weight
            weights = torch.stack([small_object_weights(s, *rule) for s in segments])
        logits = self.upsample(self.semantic(maps), size)
        losses = {"semantic": pixel_loss(logits, truth, weights, pixels.hard_pixels, self.distributed)}
        if self.aux is not None:
            logits = F.interpolate(self.aux(of_level[AUX]), size=size, mode="bilinear")
            losses["aux"] = pixel_loss(logits, truth, distributed=self.distributed)
        if self.instance is not None:
            losses |= self._center_losses(self.instance(maps), segments, size)
        return losses

    def _center_losses(
        self, maps: tuple[Tensor, Tensor], segments: Sequence[Segments], size: Size
    ) -> dict[str, Tensor]:
        """`center` and `offset`, from the instance head's maps."""
        truth = [center_target(s, self.settings.centers.sigma) for s in segments]
        heat, offsets = self.upsample(maps[0], size)[:, 0], self.upsample_offsets(maps[1], size)
        center_weight, offset_weight = (
            torch.stack([getattr(t, name) for t in truth]) for name in ("center_weight", "offset_weight")
        )
        true_heat, true_offsets = torch.stack([t.heat for t in truth]), torch.stack([t.offsets for t in truth])
        return {
            "center": center_loss(heat, true_heat, center_weight, self.distributed),
            "offset": offset_loss(offsets, true_offsets, offset_weight, self.distributed),
        }

    def forward_dense(self, pixels: Tensor) -> list[Tensor]:
        """Class logits, and heat map and offsets of centers if the network has them, all at the decoder's stride.

        On a CPU the backbone makes them channels-last; so dilated convolutions skip what lies beyond the map.
        """
        of_level = dict(zip(self.levels, self.neck(self.backbone(pixels)), strict=True))
        maps = [of_level[level] for level in self.decoded]
        return [self.semantic(maps), *(self.instance(maps) if self.instance is not None else ())]

    def head_detections(self, outputs: list[Tensor], placements: Sequence[InputPlacement]) -> list[Detections]:
        """See `Network.head_detections`. Only the pixels of the photo count, not the padding."""
        padded, inference = placements[0].padded, self.config.inference
        logits, *others = (maps.float().contiguous() for maps in outputs)
        logits = self.upsample(logits, padded)
        if self.instance is None:
            maps = [PhotoMaps(of_photo, p) for of_photo, p in zip(logits, placements, strict=True)]
            return detect_by_connection(maps, self.settings.components, inference)
        heat, offsets = self.upsample(others[0], padded), self.upsample_offsets(others[1], padded)
        maps = [PhotoMaps(*parts) for parts in zip(logits, placements, heat[:, 0], offsets, strict=True)]
        return detect_by_centers(maps, self.settings.centers, inference)

    def export_head(self, pixels: "Value", placement: "GraphPlacement") -> "GraphPixels":
        """See `Network.export_head`."""
        from clothseg.networks.deeplab.export import pixels_in_graph  # noqa: PLC0415 - needs onnx
        from clothseg.networks.onnx.dense import include_dense  # noqa: PLC0415

        def outputs(x: Tensor) -> tuple[Tensor, ...]:
            logits, *others = self.forward_dense(x)
            size = x.shape[2], x.shape[3]
            maps = [self.upsample(logits, size)[0].log_softmax(0)]
            if others:
                maps += [self.upsample(others[0], size)[0], self.upsample_offsets(others[1], size)[0]]
            return tuple(maps)

        return pixels_in_graph(include_dense(pixels, self, outputs, self.transform), placement, self.settings)

    def upsample(self, maps: Tensor, size: Size) -> Tensor:
        """Maps `[B, C, h, w]` at the decoder's stride as `[B, C, H, W]` of the input's `size`."""
        if self.conventions.upsampling == "size":
            return F.interpolate(maps, size=size, mode="bilinear")
        larger = F.interpolate(maps, scale_factor=float(self.stride), mode="bilinear")
        return larger[:, :, : size[0], : size[1]]

    def upsample_offsets(self, offsets: Tensor, size: Size) -> Tensor:
        """The same for offsets `[B, 2, h, w]` in cells, which become pixels."""
        return self.upsample(offsets, size) * self.stride
