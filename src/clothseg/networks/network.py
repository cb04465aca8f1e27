"""The contract and the template that every network shares: input, backbone, neck, heads, and back to the photo.

A network is one subclass. It must say which losses it has, and how its heads turn features into losses
(`head_losses`) and into detections (`head_detections`); everything else has a default here.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from clothseg.config import Config
from clothseg.distributed import SINGLE_PROCESS
from clothseg.errors import ConfigError
from clothseg.instances import BoxMasks, Instances, LabelMasks, MapMasks, Masks, clip_boxes
from clothseg.networks.backbones import ResNetConventions, build_backbone
from clothseg.networks.backbones.backbone import Backbone
from clothseg.networks.compile import CompiledForward
from clothseg.networks.cuda_graphs import GraphedForward
from clothseg.networks.detections import BoxMaps, Detections, InputMaps
from clothseg.networks.input import InputTransform
from clothseg.networks.photo_mean import photo_mean
from clothseg.networks.placement import InputConventions, InputPlacement, Size, network_to_image
from clothseg.networks.target import Target

if TYPE_CHECKING:  # they need onnx
    from clothseg.networks.onnx.detections import GraphDetections, GraphPixels
    from clothseg.networks.onnx.graph import Value
    from clothseg.networks.onnx.placement import GraphPlacement


@dataclass(frozen=True)
class CachedFeatures:
    """One photo up to the trained stages: what can be cached while the frozen stages stay as they are.

    Attributes:
        outputs: outputs `[C, h, w]` of the frozen stages, as `Backbone.forward_frozen` gives them.
        placement: where the photo lies in the input.
        target: the ground truth on the input.
    """

    outputs: dict[int, Tensor]
    placement: InputPlacement
    target: Target

    @property
    def nbytes(self) -> int:
        """Memory of the tensors that grow with the input."""
        return sum(t.numel() * t.element_size() for t in (*self.outputs.values(), self.target.masks))


@dataclass(frozen=True)
class Check:
    """One check before training.

    Attributes:
        name: one word.
        summary: the result, for people.
        facts: the same for `run.json`.
        problem: what would keep the network from learning these objects; empty if nothing does.
    """

    name: str
    summary: str
    facts: dict[str, Any]
    problem: str = ""


class Network(nn.Module, ABC):
    """A network that finds instances: `losses` while it learns, `detect` afterwards.

    Attributes:
        loss_names: the losses beside `total`. History, curves, TensorBoard and `monitor` take their columns from here.
        head_prefixes: prefixes of the names of the heads' tensors; the backbone's prefix is `backbone.`.
        class_layers: prefixes of the names of tensors with rows for each class, background first.
        generator: draws what a step learns from; seed it for a repeatable training.
        distributed: which photos of a batch this process has.

    Args:
        config: all settings.
        classes: number of classes besides background.

    A subclass takes the same two, calls `add_backbone`, and then makes its neck and heads, with random weights.
    """

    loss_names: tuple[str, ...]
    head_prefixes: tuple[str, ...]
    class_layers: tuple[str, ...]
    backbone: Backbone

    def __init__(self, config: Config, classes: int) -> None:
        super().__init__()
        self.config, self.classes = config, classes
        self.transform = InputTransform(config.input, self.input_conventions(config))
        self.generator = torch.Generator().manual_seed(config.train.seed)
        self.distributed = SINGLE_PROCESS
        self._compiled: CompiledForward | None = None
        self.graphed_features = GraphedForward(self.features, self)
        self.graphed_dense = GraphedForward(self.forward_dense, self)

    def add_backbone(
        self, levels: tuple[int, ...], conventions: ResNetConventions | None = None, output_stride: int = 32
    ) -> None:
        """Builds the configured backbone; the arguments are those of `build_backbone`."""
        self.backbone = build_backbone(self.config.backbone, levels, conventions, output_stride)
        self.backbone.recompute = self.config.train.activation_checkpointing

    @classmethod
    @abstractmethod
    def input_conventions(cls, config: Config) -> InputConventions:
        """How this network, so configured, turns photos into its input."""

    @abstractmethod
    def head_losses(
        self, features: list[Tensor], placements: Sequence[InputPlacement], targets: Sequence[Target]
    ) -> dict[str, Tensor]:
        """The losses `loss_names` of a batch, unweighted.

        Args:
            features: what `neck` gives.
            placements: where the photos lie in the input.
            targets: the photos' ground truth. A photo without instances is allowed.
        """

    @abstractmethod
    def head_detections(self, outputs: list[Tensor], placements: Sequence[InputPlacement]) -> list[Detections]:
        """The detections on each photo.

        Args:
            outputs: what `forward_dense` gives.
            placements: where the photos lie in the input.
        """

    def neck(self, outputs: list[Tensor]) -> list[Tensor]:
        """Features `[B, C, h, w]`, finest first, from the backbone's outputs; the same ones without a neck."""
        return outputs

    def features(self, pixels: Tensor) -> list[Tensor]:
        """What `neck` gives for an input `[B, 3, H, W]`."""
        return self.neck(self.backbone(pixels))

    def forward_dense(self, pixels: Tensor) -> list[Tensor]:
        """All of inference whose shapes follow from the input alone; this part is compiled."""
        return self.features(pixels)

    def losses(self, images: list[Tensor], targets: list[Instances]) -> dict[str, Tensor]:
        """Losses by name for photos and their ground truth; `total` is their weighted sum.

        Args:
            images: RGB `[3, H, W]`, uint8 or float in 0..1, of any sizes.
            targets: what is on them, in the photos' own pixels, or both from `InputTransform.prepare`. A photo without
                instances is allowed.
        """
        pixels, placements = self.transform.batch(images, self.device, self.distributed.largest)
        truth = [self.transform.target(t, p, self.device) for t, p in zip(targets, placements, strict=True)]
        return self.with_total(self.head_losses(self._features_of_step(pixels), placements, truth))

    def _features_of_step(self, pixels: Tensor) -> list[Tensor]:
        """`features`; on an NVIDIA GPU, in a process that learns alone, by CUDA graphs."""
        learns_alone = self.training and torch.is_grad_enabled() and self.distributed.world_size == 1
        if pixels.is_cuda and learns_alone and self.config.train.cuda_graphs and not self.backbone.recompute:
            return self.graphed_features(pixels)
        return self.features(pixels)

    @torch.no_grad()
    def cache_features(self, image: Tensor, target: Instances) -> CachedFeatures:
        """Runs the frozen stages on one photo, for `losses_cached`; needs `input.has_fixed_frame`."""
        pixels, placements = self.transform.batch([image], self.device)
        outputs = {stage: x[0] for stage, x in self.backbone.forward_frozen(pixels).items()}
        return CachedFeatures(outputs, placements[0], self.transform.target(target, placements[0], self.device))

    def losses_cached(self, batch: list[CachedFeatures]) -> dict[str, Tensor]:
        """The same as `losses`, for photos whose frozen stages ran before."""
        outputs = {stage: torch.stack([p.outputs[stage] for p in batch]) for stage in batch[0].outputs}
        features = self.neck(self.backbone.forward_trainable(outputs))
        return self.with_total(self.head_losses(features, [p.placement for p in batch], [p.target for p in batch]))

    def with_total(self, losses: dict[str, Tensor]) -> dict[str, Tensor]:
        """The losses, and `total`, their weighted sum."""
        weights = self.config.network.weight_by_loss
        weighted = [losses[name] if weights[name] == 1 else weights[name] * losses[name] for name in self.loss_names]
        return losses | {"total": torch.stack(weighted).sum()}

    @torch.no_grad()
    def detect(self, images: list[Tensor]) -> list[Instances]:
        """The instances on photos, best first, in the photos' own pixels.

        Masks stay small, and on the network's device, until pixels are needed; all else is on the CPU.

        Args:
            images: RGB `[3, H, W]`, uint8 or float in 0..1, of any sizes.
        """
        pixels, placements = self.transform.batch(images, self.device)
        if self._compiled:
            pixels = pixels.contiguous(memory_format=torch.channels_last)
        graphs = self.config.inference.cuda_graphs and not self.graphed_features.captures  # a training needs the memory
        graphed = self.graphed_dense if pixels.is_cuda and graphs else self.forward_dense
        outputs = (self._compiled or graphed)(pixels)
        found = self.head_detections(outputs, placements)
        return [self.on_photo(*one) for one in zip(found, placements, strict=True)]

    @torch.no_grad()
    def embed(self, image: Tensor) -> Tensor:
        """`[C]` float on the CPU: the coarsest features of the backbone, averaged over a photo. Alike photos are near.

        Args:
            image: RGB `[3, H, W]`, uint8 or float in 0..1.
        """
        pixels, (placement,) = self.transform.batch([image], self.device)
        return photo_mean(self.backbone(pixels)[-1][0], placement)

    def on_photo(self, found: Detections, placement: InputPlacement) -> Instances:
        """Detections in the photo's own pixels, without those that have no extent there."""
        photo, threshold = placement.photo, self.config.inference.mask_threshold
        boxes = clip_boxes(network_to_image(found.boxes.cpu(), placement, self.transform.conventions), photo)
        kept = torch.where((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))[0]
        masks: Masks
        if isinstance(found.masks, BoxMaps):
            masks = BoxMasks(found.masks.probabilities, boxes, photo, threshold, found.masks.rule)
        elif isinstance(found.masks, InputMaps):
            masks = MapMasks(found.masks.probabilities, boxes, photo, threshold, placement.region)
        else:
            numbers = torch.arange(1, len(boxes) + 1)
            masks = LabelMasks(found.masks.labels, found.masks.probabilities, numbers, photo, placement.region)
        instances = Instances(photo, boxes, found.classes.cpu(), masks, found.scores.cpu())
        return instances if len(kept) == len(boxes) else instances[kept]

    def compile_for_inference(self) -> str:
        """Compiles `forward_dense`: the first photo takes about a minute, all others take less time.

        Returns:
            the empty string, or the reason why this machine cannot compile; `detect` then works uncompiled.
        """
        self._compiled = self._compiled or CompiledForward(self.forward_dense, self)
        return self._compiled.reason_unavailable

    def export_head(self, pixels: "Value", placement: "GraphPlacement") -> "GraphDetections | GraphPixels":
        """What `detect` finds on one photo, as part of an ONNX graph.

        `pixels` is the network's input `[1, 3, H, W]`, in which the photo lies at `placement`. Raises a ConfigError if
        the network has no such form.
        """
        raise ConfigError(f"network {self.config.network.name}: it cannot be exported to ONNX")

    def preflight(self, photos: Sequence[tuple[Size, Tensor]]) -> list[Check]:
        """Checks of this network against the boxes that it will learn; none by default.

        Args:
            photos: height and width of each, and boxes `[N, 4]` as COCO has them, x y width height.
        """
        return []

    def memory_probe(
        self, outputs: dict[int, Tensor], objects: int, masks: int | None = None, *, on_cpu: bool
    ) -> Tensor:
        """A scalar that depends on every trained weight and takes the memory of a step's loss.

        It runs on tensors without values (`meta`), so nothing in it may depend on values. The default suits networks
        whose losses have fixed shapes.

        Args:
            outputs: of the frozen stages, as `Backbone.forward_frozen` gives them for tensors without values.
            objects: on each photo.
            masks: number of objects that have a mask; by default all.
            on_cpu: whether the step will run there.
        """
        features = self.neck(self.backbone.forward_trainable(outputs))
        batch, device = len(features[0]), features[0].device
        height, width = (side * self.backbone.finest_stride for side in features[0].shape[-2:])
        placement = InputPlacement(0, 0, height, width, (height, width), (height, width))
        target = Target(
            torch.zeros((objects, 4), device=device),
            torch.ones(objects, dtype=torch.int64, device=device),
            torch.zeros((objects if masks is None else masks, height, width), dtype=torch.uint8, device=device),
            torch.zeros((0, 4), device=device),
        )
        return self.with_total(self.head_losses(features, [placement] * batch, [target] * batch))["total"]

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    def has_unused_parameters(self) -> bool:
        """Whether some trainable weights get no gradient in a step (`find_unused_parameters` of DDP)."""
        return self.backbone.has_idle_stages
