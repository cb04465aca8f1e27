"""Mask R-CNN: the parts put together. Source: He et al., Mask R-CNN (2017), with a feature pyramid."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from clothseg import cpu_path
from clothseg.config import Config, MaskRCNNSettings
from clothseg.networks.backbones import STAGES
from clothseg.networks.detections import BoxMaps, Detections
from clothseg.networks.layers.anchor_coverage import AnchorLayout, measure_anchor_coverage
from clothseg.networks.layers.box_targets import NEGATIVE, encode_boxes
from clothseg.networks.layers.fpn import FeaturePyramid, LevelRows, level_rows
from clothseg.networks.layers.roi_align import LocatedBoxes, locate_boxes, roi_align_levels, to_pooling_layout
from clothseg.networks.mask_rcnn.conventions import conventions_for
from clothseg.networks.mask_rcnn.heads import FINE, BoxHead, MaskHead, MaskRefinement
from clothseg.networks.mask_rcnn.losses import (
    box_head_losses,
    mask_losses,
    matched_rows,
    sample_proposals,
    targets_in_network_coords,
)
from clothseg.networks.mask_rcnn.memory_probe import probe_heads, probe_rpn
from clothseg.networks.mask_rcnn.postprocess import (
    BoxDetections,
    HeadOutputs,
    detections_by_photo,
    postprocess_detections,
    rescore_by_mask,
)
from clothseg.networks.mask_rcnn.rpn import RegionProposalNetwork
from clothseg.networks.network import Check, Network
from clothseg.networks.placement import InputConventions, InputPlacement, Size
from clothseg.networks.target import Target, have_masks

if TYPE_CHECKING:  # they need onnx
    from clothseg.networks.onnx.detections import GraphDetections
    from clothseg.networks.onnx.graph import Value
    from clothseg.networks.onnx.placement import GraphPlacement

_CPU_CHUNK = 25  # masks computed at once on a CPU, which suits its cache


class MaskRCNNNetwork(Network):
    """Mask R-CNN for `classes` classes besides background; see `Network`.

    Args:
        config: all settings; its section `network` is that of Mask R-CNN.
        classes: number of classes besides background.
    """

    loss_names: tuple[str, ...] = ("rpn_class", "rpn_bbox", "class", "bbox", "mask", "refined_mask")
    head_prefixes: tuple[str, ...] = ("rpn.", "box_head.", "mask_head.", "refinement.")
    class_layers = ("box_head.score.", "box_head.delta.", "mask_head.logits.")

    def __init__(self, config: Config, classes: int) -> None:
        settings, conventions = config.network, conventions_for(config)
        assert isinstance(settings, MaskRCNNSettings)
        adds_fine = settings.mask_refinement.size > 0 and FINE not in settings.fpn.levels
        levels = (FINE, *settings.fpn.levels) if adds_fine else settings.fpn.levels
        super().__init__(config, classes)
        self.add_backbone(levels, conventions.backbone)
        self.settings, self.conventions = settings, conventions
        eps = conventions.backbone.norm_eps
        self.first_pyramid_output = 1 if adds_fine else 0
        channels = self.backbone.channels
        self.fpn = FeaturePyramid(channels[self.first_pyramid_output :], settings.fpn, eps)
        self.rpn = RegionProposalNetwork(settings.rpn, settings.anchors, settings.fpn, conventions)
        self.box_head = BoxHead(settings.box_head, settings.fpn.channels, classes, eps)
        self.mask_head = MaskHead(settings.mask_head, settings.fpn.channels, classes, eps)
        refinement = settings.mask_refinement
        self.refinement = MaskRefinement(refinement, channels[0], settings.fpn.channels) if refinement.size else None
        self.loss_names = tuple(settings.weight_by_loss)
        self.head_prefixes = type(self).head_prefixes[: 4 if refinement.size else 3]
        self.pooled_levels = tuple(level for level in settings.fpn.levels if level <= STAGES)

    @classmethod
    def input_conventions(cls, config: Config) -> InputConventions:
        """See `Network.input_conventions`."""
        return conventions_for(config).input

    def neck(self, outputs: list[Tensor]) -> list[Tensor]:
        """FPN levels `[B, C, h, w]`, finest first, and after them the features that refine masks, if it does that."""
        levels: list[Tensor] = self.fpn(outputs[self.first_pyramid_output :])
        return levels if self.refinement is None else [*levels, self.refinement.fine_map(outputs[0], levels[0])]

    def head_losses(
        self, features: list[Tensor], placements: Sequence[InputPlacement], targets: Sequence[Target]
    ) -> dict[str, Tensor]:
        """`rpn_class`, `rpn_bbox`, `class`, `bbox`, `mask`, perhaps `refined_mask`; see `Network.head_losses`."""
        levels = features[: len(self.settings.fpn.levels)]
        with torch.no_grad():
            scores, deltas, anchors = self.rpn(levels, placements[0].padded)
        generators = self.distributed.generators(self.generator, len(targets))
        rows = None if cpu_path.uses_cpu_path(levels[0]) else level_rows(levels)
        losses = self.rpn.losses(levels, anchors, targets, generators, self.distributed, rows)
        proposals = self._proposals_to_sample(scores, deltas, anchors, placements)
        inside = targets_in_network_coords(targets, placements, self.conventions.input)
        boxes, matches = sample_proposals(proposals, inside, self.settings.box_head, generators)
        return losses | self.box_and_mask_losses(features, placements, boxes, matches, inside, rows)

    def _proposals_to_sample(
        self, scores: list[Tensor], deltas: list[Tensor], anchors: Tensor, placements: Sequence[InputPlacement]
    ) -> Sequence[Tensor] | Tensor:
        """The RPN's proposals `[P, 4]` for each photo; on a GPU `[B, P, 4]`, some of them without extent."""
        if cpu_path.uses_cpu_path(scores[0]):
            return self.rpn.proposals(scores, deltas, anchors, placements, train=True)
        boxes, valid = self.rpn.padded_proposals(scores, deltas, anchors, placements, train=True)
        return boxes * valid[..., None]

    def box_and_mask_losses(
        self,
        features: list[Tensor],
        placements: Sequence[InputPlacement],
        boxes: Tensor,
        matches: Tensor,
        targets: Sequence[Target],
        rows: LevelRows | None = None,
    ) -> dict[str, Tensor]:
        """`class`, `bbox` and `mask` of sampled boxes; `mask` is a mean over the boxes whose object has a mask.

        The number of these boxes is read, once for all photos: to compute masks for as many as there could be takes
        longer.

        Args:
            features: FPN levels.
            placements: where the photos lie in the input.
            boxes: `[B, S, 4]` in network coordinates.
            matches: `[B, S]`, the index of each box's ground truth, or NEGATIVE, or IGNORED for a box that does not
                count.
            targets: ground truth, boxes in network coordinates.
            rows: see `pool_located`.
        """
        settings, conventions = self.settings, self.conventions
        located, match = self.locate(boxes, placements[0].padded), matches.flatten()
        masked = have_masks(matches, targets)
        counts, masked, found = masked.sum(dim=1).tolist(), masked.flatten(), match >= 0
        of_class, of_box = matched_rows([(t.classes, t.boxes) for t in targets], matches)
        label = torch.where(found, of_class, match - NEGATIVE)  # IGNORED is -2, and gives -1
        logits, deltas = self.box_head(self.pool_located(features, located, settings.box_head.pool_size, rows))
        deltas = deltas.gather(1, label.clamp(min=0)[:, None, None].expand(-1, 1, 4)).squeeze(1)
        true_deltas = encode_boxes(of_box, located.boxes, conventions.box_weights)
        losses = box_head_losses(
            logits, label, deltas, torch.where(found[:, None], true_deltas, deltas.detach()),
            settings.box_head.box_loss, conventions, self.distributed,
        )  # fmt: skip
        first = (~masked).int().sort(stable=True).indices[: sum(counts)]
        objects = located.select(first)
        pooled = self.pool_located(features, objects, settings.mask_head.pool_size, rows)
        maps = self.mask_head.forward_for_class(pooled, label[first])
        stages = {"mask": maps} | ({"refined_mask": self.refine(features, objects, maps)} if self.refinement else {})
        of_photo = zip(
            targets, *(torch.split(t, counts) for t in (objects.boxes, match[first])), placements, strict=True
        )
        return losses | mask_losses(stages, [*of_photo], conventions, self.distributed)

    def refine(self, features: list[Tensor], located: LocatedBoxes, logits: Tensor) -> Tensor:
        """Logits `[P, S, S]` of refined masks, from all that `neck` gives and the mask head's `[P, M, M]`."""
        assert self.refinement is not None
        fine = replace(located, level=torch.full_like(located.level, FINE))
        pooled = roi_align_levels([features[-1]], (FINE,), fine, self.refinement.size, self.conventions.roi_align)
        answer: Tensor = self.refinement(pooled, logits)
        return answer

    def forward_dense(self, pixels: Tensor) -> list[Tensor]:
        """FPN levels, then the RPN's logits of each level, then its box deltas of each level."""
        features = super().forward_dense(pixels)
        scores, deltas = self.rpn.head(features[: len(self.settings.fpn.levels)])
        return [*features, *scores, *deltas]

    def head_detections(self, outputs: list[Tensor], placements: Sequence[InputPlacement]) -> list[Detections]:
        """See `Network.head_detections`."""
        levels, padded = len(self.settings.fpn.levels), placements[0].padded
        features, scores, deltas = outputs[: -2 * levels], outputs[-2 * levels : -levels], outputs[-levels:]
        candidates = scores, deltas, self.rpn.anchors_of(features[:levels], padded), placements
        pooled = len(self.pooled_levels)
        layout = to_pooling_layout([*features[:pooled], *features[levels:]])
        features, fine = layout[:pooled], layout[pooled:]
        if cpu_path.uses_cpu_path(features[0]):
            rows, proposals = None, self.rpn.proposals(*candidates, train=False)
            found = on_device = self._boxes_one_by_one(features, proposals, placements)
        else:
            padded_boxes, valid = self.rpn.padded_proposals(*candidates, train=False)
            rows = level_rows(features) if self.conventions.roi_align.method == "crop_and_resize" else None
            found, on_device = self._boxes_together(features, rows, padded_boxes, valid, placements)
        located = self.locate([f.boxes for f in on_device], padded)
        objects = self.pool_located(features, located, self.settings.mask_head.pool_size, rows)
        probabilities = self._mask_probabilities(objects, torch.cat([f.classes for f in on_device]), fine, located)
        detections = []
        for boxes, masks in zip(found, torch.split(probabilities, [len(f.boxes) for f in found]), strict=True):
            if self.config.inference.mask_rescoring:
                boxes, masks = rescore_by_mask(boxes, masks, self.config.inference)  # noqa: PLW2901
            maps = BoxMaps(masks, self.conventions.paste)
            detections.append(Detections(boxes.boxes, boxes.classes, boxes.scores, maps))
        return detections

    def _boxes_one_by_one(
        self, features: list[Tensor], proposals: list[Tensor], placements: Sequence[InputPlacement]
    ) -> list[BoxDetections]:
        """Detections without masks, from proposals `[P, 4]` of each photo."""
        pooled = self.pool(features, proposals, self.settings.box_head.pool_size, placements[0].padded)
        counts = [len(p) for p in proposals]
        logits, box_deltas = (torch.split(part, counts) for part in self.box_head(pooled))
        parts = zip(proposals, logits, box_deltas, placements, strict=True)
        return [postprocess_detections(*part, self.config.inference, self.conventions) for part in parts]

    def _boxes_together(
        self,
        features: list[Tensor],
        rows: LevelRows | None,
        proposals: Tensor,
        valid: Tensor,
        placements: Sequence[InputPlacement],
    ) -> tuple[list[BoxDetections], list[BoxDetections]]:
        """Detections without masks, on the CPU and on the device, from proposals `[B, P, 4]` of fixed shape."""
        located = self.locate(proposals, placements[0].padded)
        pooled = self.pool_located(features, located, self.settings.box_head.pool_size, rows)
        logits, deltas = (part.unflatten(0, valid.shape) for part in self.box_head(pooled))
        outputs = HeadOutputs(proposals, valid, logits, deltas)
        return detections_by_photo(outputs, placements, self.config.inference, self.conventions)

    def locate(self, boxes: Sequence[Tensor] | Tensor, padded: Size) -> LocatedBoxes:
        """Where to pool the features of boxes `[P, 4]` of each photo, which are in network coordinates."""
        conventions = self.conventions
        unit = math.sqrt(padded[0] * padded[1]) if conventions.input.normalised_boxes else 1.0
        canonical = self.settings.box_head.canonical_size / unit
        return locate_boxes(boxes, self.pooled_levels, conventions.roi_align, canonical)

    def pool(self, features: list[Tensor], boxes: Sequence[Tensor], size: int, padded: Size) -> Tensor:
        """Features `[sum of P, C, size, size]` of boxes `[P, 4]` of each photo, in network coordinates."""
        return self.pool_located(features, self.locate(boxes, padded), size)

    def pool_located(
        self, features: list[Tensor], located: LocatedBoxes, size: int, rows: LevelRows | None = None
    ) -> Tensor:
        """Features `[P, C, size, size]` of boxes; `rows` are the features as rows, if they were made before."""
        levels = self.pooled_levels
        return roi_align_levels(features[: len(levels)], levels, located, size, self.conventions.roi_align, rows)

    def _mask_probabilities(self, pooled: Tensor, classes: Tensor, fine: list[Tensor], located: LocatedBoxes) -> Tensor:
        """Masks `[D, 28, 28]`, or as large as they are refined, from the features of detections; on a CPU a few at a
        time."""
        chunk = _CPU_CHUNK if cpu_path.uses_cpu_path(pooled) else max(len(classes), 1)
        pooled = pooled.contiguous(memory_format=torch.channels_last)
        masks = []
        for rows in torch.split(torch.arange(len(classes), device=classes.device), chunk):
            logits = self.mask_head.forward_for_class(pooled[rows], classes[rows])
            masks.append(logits if self.refinement is None else self.refine(fine, located.select(rows), logits))
        return torch.cat(masks).sigmoid()

    def export_head(self, pixels: "Value", placement: "GraphPlacement") -> "GraphDetections":
        """See `Network.export_head`."""
        from clothseg.networks.mask_rcnn.export_stages import (  # noqa: PLC0415 - needs onnx
            NetworkParts,
            two_stages_in_graph,
        )

        parts = NetworkParts(
            self, self.forward_dense, (self.box_head, self.mask_head, self.refinement), self.transform,
            self.pooled_levels, self.settings, self.config.inference, self.conventions,
        )  # fmt: skip
        return two_stages_in_graph(pixels, placement, parts)

    def preflight(self, photos: Sequence[tuple[Size, Tensor]]) -> list[Check]:
        """How well the anchors fit the boxes; see `Network.preflight`."""
        settings = self.settings
        layout = AnchorLayout(self.transform, settings.fpn.levels, settings.anchors, self.conventions.anchors)
        coverage = measure_anchor_coverage(layout, photos)
        return [Check("anchors", coverage.summary(), coverage.facts(), coverage.problem())]

    def memory_probe(
        self, outputs: dict[int, Tensor], objects: int, masks: int | None = None, *, on_cpu: bool
    ) -> Tensor:
        """See `Network.memory_probe`."""
        features, levels = self.neck(self.backbone.forward_trainable(outputs)), len(self.settings.fpn.levels)
        pooled, fine = features[: len(self.pooled_levels)], features[levels:]
        heads = self.box_head, self.mask_head, self.refinement
        counts = objects, objects if masks is None else masks
        of_heads = probe_heads(heads, pooled, fine, counts, self.settings, self.conventions.roi_align, on_cpu=on_cpu)
        return probe_rpn(self.rpn, features[:levels], objects, on_cpu=on_cpu) + of_heads
