"""YOLACT: the parts put together. Source: Bolya et al., YOLACT: Real-time Instance Segmentation (2019)."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from clothseg import cpu_path
from clothseg.config import Config, YolactSettings
from clothseg.networks.detections import Detections, InputMaps
from clothseg.networks.layers.anchor_coverage import AnchorLayout, measure_anchor_coverage
from clothseg.networks.layers.anchors import CachedAnchors
from clothseg.networks.layers.box_targets import decode_boxes, encode_boxes, match_photos
from clothseg.networks.layers.fpn import FeaturePyramid
from clothseg.networks.layers.mask_rescoring import rescored_order
from clothseg.networks.network import Check, Network
from clothseg.networks.placement import InputConventions, InputPlacement, Size
from clothseg.networks.target import Target, have_masks
from clothseg.networks.transfer import TensorCache, to_device
from clothseg.networks.yolact.conventions import conventions_for
from clothseg.networks.yolact.detection import Candidates, by_photo, is_candidate, select
from clothseg.networks.yolact.heads import PredictionHead, Prototypes
from clothseg.networks.yolact.losses import (
    PositiveMasks,
    box_loss,
    class_loss,
    mask_loss,
    semantic_loss,
    semantic_truth,
    semantic_weights,
)
from clothseg.networks.yolact.masks import assemble_masks, masks_on_grid
from clothseg.networks.yolact.matching import match_anchors

if TYPE_CHECKING:  # they need onnx
    from clothseg.networks.onnx.detections import GraphDetections
    from clothseg.networks.onnx.graph import Value
    from clothseg.networks.onnx.placement import GraphPlacement

_PROBED_ANCHORS = 10
"""Positive anchors that an object has in the forecast of memory: more than most have."""


class YolactNetwork(Network):
    """YOLACT for `classes` classes besides background; see `Network`. Network coordinates are pixels of the input.

    Args:
        config: all settings; its section `network` is that of YOLACT.
        classes: number of classes besides background.
    """

    loss_names = ("class", "bbox", "mask", "semantic")
    head_prefixes = ("prototypes.", "head.", "semantic.")
    class_layers = ("head.score.", "semantic.")

    def __init__(self, config: Config, classes: int) -> None:
        settings, conventions = config.network, conventions_for(config)
        assert isinstance(settings, YolactSettings)
        super().__init__(config, classes)
        self.add_backbone(settings.fpn.levels, conventions.backbone)
        self.settings, self.conventions = settings, conventions
        self.anchors = CachedAnchors(settings.anchors, settings.fpn.levels, conventions.anchors, conventions.input)
        self._cells = TensorCache(16)
        eps, channels = conventions.backbone.norm_eps, settings.fpn.channels
        self.fpn = FeaturePyramid(self.backbone.channels, settings.fpn, eps, conventions.fpn)
        self.prototypes = Prototypes(settings.prototypes, channels, eps)
        shapes = len(settings.anchors.scales[0]) * len(settings.anchors.ratios)
        self.head = PredictionHead(settings.head, channels, shapes, classes, settings.prototypes.count, eps)
        self.semantic = nn.Conv2d(channels, classes + 1, 1)  # background's row is not used
        nn.init.xavier_uniform_(self.semantic.weight)
        nn.init.zeros_(self.semantic.get_parameter("bias"))

    @classmethod
    def input_conventions(cls, config: Config) -> InputConventions:
        """See `Network.input_conventions`."""
        return conventions_for(config).input

    def neck(self, outputs: list[Tensor]) -> list[Tensor]:
        """FPN levels `[B, C, h, w]`, finest first."""
        levels: list[Tensor] = self.fpn(outputs)
        return levels

    def forward_dense(self, pixels: Tensor) -> list[Tensor]:
        """The prototypes `[B, count, h, w]`, then the output maps of the head."""
        return self._heads(super().forward_dense(pixels))

    def _heads(self, features: list[Tensor]) -> list[Tensor]:
        return [self.prototypes(features[0]), *self.head(features)]

    def anchors_of(self, sizes: Sequence[Size], padded: Size, device: torch.device) -> Tensor:
        """Anchors `[N, 4]` of levels of these heights and widths, in pixels of the input, on `device`."""
        return self.anchors.in_pixels(self.anchors.exact(sizes, padded, device), device)

    def _anchors_for(self, maps: Sequence[Tensor], padded: Size) -> Tensor:
        """The anchors of the levels that `maps` `[B, C, h, w]` belong to."""
        return self.anchors_of([(m.shape[2], m.shape[3]) for m in maps], padded, maps[0].device)

    def head_losses(
        self, features: list[Tensor], placements: Sequence[InputPlacement], targets: Sequence[Target]
    ) -> dict[str, Tensor]:
        """`class`, `bbox`, `mask` and `semantic`; see `Network.head_losses`.

        The number of positive anchors whose object has a mask is read, once for all photos.
        """
        matches = self.match(features, placements[0].padded, targets)
        masked = have_masks(matches, targets)
        order = (~masked).to(torch.uint8).sort(dim=1, stable=True).indices
        counts = masked.sum(dim=1).tolist()
        positions = []
        for row, count, generator in zip(
            order, counts, self.distributed.generators(self.generator, len(targets)), strict=True
        ):
            place, most = row[:count], self.settings.prototypes.max_positive
            if count > most:
                place = place[to_device(torch.randperm(count, generator=generator)[:most], place.device)]
            positions.append(place)
        return self.losses_of(features, placements, targets, matches, list(zip(positions, counts, strict=True)))

    def match(self, features: Sequence[Tensor], padded: Size, targets: Sequence[Target]) -> Tensor:
        """For each photo and anchor `[B, N]` the index of its ground truth, or NEGATIVE, or IGNORED."""
        anchors, settings = self._anchors_for(features, padded), self.settings.anchors
        match = partial(match_anchors, settings=settings)
        return match_photos(match, anchors, [t.boxes for t in targets], [t.ignored for t in targets])

    def losses_of(
        self,
        features: list[Tensor],
        placements: Sequence[InputPlacement],
        targets: Sequence[Target],
        matches: Tensor,
        positives: Sequence[tuple[Tensor, int]],
    ) -> dict[str, Tensor]:
        """The four losses, in float32 whatever the precision of the features.

        Args:
            features: FPN levels.
            placements: where the photos lie in the input.
            targets: ground truth.
            matches: `[B, N]`, as `match` gives them.
            positives: for each photo the anchors `[P]` whose masks are learned from, and how many positive ones with a
                mask it has.
        """
        padded, conventions = placements[0].padded, self.conventions
        prototypes, *maps = self._heads(features)
        semantic = self.semantic(features[0])[:, 1:].float()
        device = features[0].device.type
        with torch.autocast("cpu" if device == "meta" else device, enabled=False):
            logits, deltas, coefficients = self.head.by_anchor(maps)
            anchors = self._anchors_for(features, padded)
            count = self.distributed.mean_divisor((matches >= 0).sum())
            labels, true_deltas = self.anchor_targets(anchors, matches, targets)
            of_boxes = box_loss(deltas, true_deltas, matches >= 0, conventions.smooth_l1_beta, count)
            of_masks, mask_count = semantic.new_zeros(()), count
            if not all(t.all_have_masks for t in targets):
                mask_count = self.distributed.mean_divisor(have_masks(matches, targets).sum())
            for number, (place, positive) in enumerate(positives):
                rows, target = matches[number, place], targets[number]
                size = (prototypes.shape[2], prototypes.shape[3])
                truth = masks_on_grid(target.masks, placements[number], size, self._cells)[rows]
                chosen = coefficients[number, place].tanh()
                photo = PositiveMasks(prototypes[number], chosen, target.boxes[rows], truth, positive)
                of_masks = of_masks + mask_loss(photo, padded, conventions.crop_margin)
            size = (semantic.shape[2], semantic.shape[3])
            classes = [
                semantic_truth(masks_on_grid(t.masks, p, size, self._cells), t.classes[: len(t.masks)], self.classes)
                for t, p in zip(targets, placements, strict=True)
            ]
            return {
                "class": class_loss(logits, labels, self.settings.anchors.negatives_per_positive, count),
                "bbox": of_boxes,
                "mask": of_masks / mask_count,
                "semantic": semantic_loss(
                    semantic, torch.stack(classes), self._semantic_weights(classes, targets, padded)
                ),
            }

    def _semantic_weights(self, truth: Sequence[Tensor], targets: Sequence[Target], padded: Size) -> Tensor | None:
        """See `semantic_weights`, `[B, K, h, w]`; None if all objects have masks."""
        if all(t.all_have_masks for t in targets):
            return None
        return torch.stack([semantic_weights(of_photo, t, padded) for of_photo, t in zip(truth, targets, strict=True)])

    def anchor_targets(self, anchors: Tensor, matches: Tensor, targets: Sequence[Target]) -> tuple[Tensor, Tensor]:
        """Classes `[B, N]` (0 background, -1 what does not count) and box deltas `[B, N, 4]` that anchors should have.

        Anchors that are not positive have any deltas.
        """
        labels, deltas = [], []
        for of_photo, target in zip(matches, targets, strict=True):
            if not len(target.boxes):
                labels.append(of_photo + 1)  # NEGATIVE is -1 and IGNORED -2
                deltas.append(torch.zeros_like(anchors))
                continue
            row = of_photo.clamp(min=0)
            labels.append(torch.where(of_photo >= 0, target.classes[row], of_photo + 1))
            deltas.append(encode_boxes(target.boxes[row], anchors, self.conventions.box_weights))
        return torch.stack(labels), torch.stack(deltas)

    def head_detections(self, outputs: list[Tensor], placements: Sequence[InputPlacement]) -> list[Detections]:
        """See `Network.head_detections`."""
        prototypes, *maps = outputs
        padded, inference = placements[0].padded, self.config.inference
        logits, deltas, coefficients = self.head.by_anchor(maps)
        anchors = self._anchors_for(maps[: len(self.settings.fpn.levels)], padded)
        detections = []
        for photo, (found, anchor) in enumerate(self.choose(logits, deltas, anchors)):
            boxes, classes, scores = found
            chosen = coefficients[photo, anchor].tanh()
            there = boxes.to(chosen.device)
            masks = assemble_masks(prototypes[photo], chosen, there, padded, self.conventions.crop_margin)
            if inference.mask_rescoring:
                scores, order = rescored_order(scores, masks, inference)
                boxes, classes, masks = boxes[order], classes[order], masks[order.to(masks.device)]
            detections.append(Detections(boxes, classes, scores, InputMaps(masks)))
        return detections

    def choose(
        self, logits: Tensor, deltas: Tensor, anchors: Tensor
    ) -> list[tuple[tuple[Tensor, Tensor, Tensor], Tensor]]:
        """For each photo boxes, classes and scores, on the CPU, and the anchors that they come from.

        On a CPU only the candidates of a photo are decoded; elsewhere all anchors are, and all photos' detections are
        copied at once.
        """
        settings, inference = self.settings.selection, self.config.inference
        weights, clip = self.conventions.box_weights, self.conventions.box_clip
        scores = logits.softmax(-1)[..., 1:]
        valid = is_candidate(scores, settings, inference)
        if not cpu_path.uses_cpu_path(logits):
            boxes = torch.stack([decode_boxes(of_photo, anchors, weights, clip) for of_photo in deltas])
            return by_photo(select(Candidates(boxes, scores, valid), settings, inference))
        answer = []
        for of_photo, score, candidate in zip(deltas, scores, valid, strict=True):
            here = torch.where(candidate)[0]
            boxes = decode_boxes(of_photo[here], anchors[here], weights, clip)
            every = Candidates(boxes[None], score[here][None], candidate[here][None])
            ((found, anchor),) = by_photo(select(every, settings, inference))
            answer.append((found, here[anchor]))
        return answer

    def export_head(self, pixels: "Value", placement: "GraphPlacement") -> "GraphDetections":
        """See `Network.export_head`."""
        from clothseg.networks.onnx.dense import include_dense  # noqa: PLC0415 - needs onnx
        from clothseg.networks.onnx.detections import anchors_in_graph  # noqa: PLC0415
        from clothseg.networks.yolact.export import AnchorValues, detections_in_graph  # noqa: PLC0415

        settings, levels = self.settings, self.settings.fpn.levels

        def outputs(x: Tensor) -> tuple[Tensor, ...]:
            prototypes, *maps = self.forward_dense(x)
            logits, deltas, coefficients = self.head.by_anchor(maps)
            scores = logits[0].softmax(-1)[:, 1:]
            return prototypes[0], scores, deltas[0], coefficients[0].tanh(), *maps[: len(levels)]

        values = include_dense(pixels, self, outputs, self.transform)
        sizes = [(level.side(2), level.side(3)) for level in values[4:]]
        anchors = anchors_in_graph(settings.anchors, levels, sizes, placement.padded, self.conventions.anchors)
        prototypes, scores, deltas, coefficients = values[:4]
        found = AnchorValues(prototypes, scores, deltas, coefficients, anchors.to("float32"))
        return detections_in_graph(
            found, placement, self.classes, settings.selection, self.config.inference, self.conventions
        )

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
        features = self.neck(self.backbone.forward_trainable(outputs))
        height, width = (side * self.backbone.finest_stride for side in features[0].shape[-2:])
        placement = InputPlacement(0, 0, height, width, (height, width), (height, width))
        boxes = features[0].new_zeros((objects, 4), dtype=torch.float32)
        classes = torch.ones(objects, dtype=torch.int64, device=boxes.device)
        known = objects if masks is None else masks
        maps = torch.zeros((known, height, width), dtype=torch.uint8, device=boxes.device)
        targets = [Target(boxes, classes, maps, boxes[:0])] * len(features[0])
        placements = [placement] * len(targets)
        matches = self.match(features, placement.padded, targets[:1] if on_cpu else targets)
        matches = matches.expand(len(targets), -1)
        most = min(known * _PROBED_ANCHORS, self.settings.prototypes.max_positive, matches.shape[1])
        places = torch.zeros(most, dtype=torch.int64, device=boxes.device)
        losses = self.losses_of(features, placements, targets, matches, [(places, most)] * len(targets))
        return self.with_total(losses)["total"]
