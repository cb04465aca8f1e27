"""Mask R-CNN: the parts put together. Source: He et al., Mask R-CNN (2017), with a feature pyramid."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import batched_nms, remove_small_boxes, roi_align

from clothseg.config import Config
from clothseg.instances import BoxMasks, Instances, clip_boxes, scale_boxes
from clothseg.networks.backbones import STAGES, build_trunk
from clothseg.networks.box_coding import decode_boxes, encode_boxes
from clothseg.networks.box_loss import box_loss
from clothseg.networks.conventions import Conventions
from clothseg.networks.heads import BoxHead, MaskHead
from clothseg.networks.matching import match_boxes, sample
from clothseg.networks.network import LOSS_NAMES, Network
from clothseg.networks.pooling import pool_boxes
from clothseg.networks.pyramid import FeaturePyramid
from clothseg.networks.resize import Target, pad_images, resize_image, resize_target, resized_size
from clothseg.networks.rpn import RegionProposals


@dataclass(frozen=True)
class Prepared:
    """One photo as far as the trained stages: what can be kept while frozen stages stay as they are.

    Attributes:
        outputs: the frozen stages' outputs `[C, h, w]` by stage, as `Trunk.frozen_part` gives them.
        size: height and width of the resized photo within the padded input.
        padded: height and width of the padded input.
        target: the truth on the resized grid.
    """

    outputs: dict[int, Tensor]
    size: tuple[int, int]
    padded: tuple[int, int]
    target: Target


class MaskRCNNNetwork(Network):
    """Mask R-CNN for `classes` classes besides background.

    `generator` draws the anchors and proposals that a step learns from; seed it for a repeatable training.
    """

    def __init__(self, config: Config, classes: int, conventions: Conventions) -> None:
        super().__init__()
        self.config, self.conventions, self.classes = config, conventions, classes
        self.generator = torch.Generator().manual_seed(config.train.seed)
        self.backbone = build_trunk(config.backbone, config.pyramid.levels)
        self.pyramid = FeaturePyramid(self.backbone.channels, config.pyramid)
        self.rpn = RegionProposals(config, conventions)
        self.box_head = BoxHead(config, classes)
        self.mask_head = MaskHead(config, classes)
        self._pooled_levels = tuple(level for level in config.pyramid.levels if level <= STAGES)

    def losses(self, images: list[Tensor], targets: list[Instances]) -> dict[str, Tensor]:
        """See `Network.losses`: `rpn_class`, `rpn_bbox`, `class`, `bbox`, `mask` and `total`."""
        pixels, sizes = self._batch(images)
        truth = [resize_target(target, size).to(pixels.device) for target, size in zip(targets, sizes, strict=True)]
        return self._losses(self.backbone(pixels), sizes, (pixels.shape[2], pixels.shape[3]), truth)

    @torch.no_grad()
    def prepare(self, image: Tensor, target: Instances) -> Prepared:
        """Run the frozen stages on one photo, for `losses_prepared`; needs the fixed frame of `picture.resize: fit`."""
        pixels, sizes = self._batch([image])
        outputs = {stage: x[0] for stage, x in self.backbone.frozen_part(pixels).items()}
        truth = resize_target(target, sizes[0]).to(pixels.device)
        return Prepared(outputs, sizes[0], (pixels.shape[2], pixels.shape[3]), truth)

    def losses_prepared(self, batch: list[Prepared]) -> dict[str, Tensor]:
        """What `losses` gives, from photos whose frozen stages were run before."""
        outputs = {stage: torch.stack([p.outputs[stage] for p in batch]) for stage in batch[0].outputs}
        sizes, truth = [p.size for p in batch], [p.target for p in batch]
        return self._losses(self.backbone.trained_part(outputs), sizes, batch[0].padded, truth)

    @torch.no_grad()
    def detect(self, images: list[Tensor]) -> list[Instances]:
        """See `Network.detect`. Masks stay small until they are asked for."""
        pixels, sizes = self._batch(images)
        features = self.pyramid(self.backbone(pixels))
        scores, deltas, anchors = self.rpn(features, (pixels.shape[2], pixels.shape[3]))
        proposals = self.rpn.proposals(scores, deltas, anchors, sizes, train=False)
        logits, codes = self.box_head(self._pool(features, proposals, self.config.boxes.pooled))
        counts = [len(p) for p in proposals]
        parts = zip(proposals, logits.split(counts), codes.split(counts), sizes, strict=True)
        found = [self._choose(*part) for part in parts]
        pooled = self._pool(features, [boxes for boxes, _, _ in found], self.config.mask.pooled)
        maps = self.mask_head(pooled)
        classes = torch.cat([labels for _, labels, _ in found])
        probabilities = maps[torch.arange(len(classes), device=maps.device), classes].sigmoid()
        answer = []
        counts = [len(boxes) for boxes, _, _ in found]
        for image, size, (boxes, labels, score), masks in zip(
            images, sizes, found, probabilities.split(counts), strict=True
        ):
            original = (image.shape[1], image.shape[2])
            placed = scale_boxes(boxes, size, original)
            small = BoxMasks(masks, placed, original, self.config.detect.mask_threshold)
            answer.append(Instances(original, placed, labels, small, score))
        return answer

    def _batch(self, images: list[Tensor]) -> tuple[Tensor, list[tuple[int, int]]]:
        """The padded input `[B, 3, H, W]` on the network's device, and each photo's size in it."""
        device = next(self.parameters()).device
        sizes = [resized_size((image.shape[1], image.shape[2]), self.config.picture) for image in images]
        resized = [
            resize_image(image.to(device), size, self.conventions) for image, size in zip(images, sizes, strict=True)
        ]
        return pad_images(resized, self.config.picture, self.conventions), sizes

    def _pool(self, features: list[Tensor], boxes: list[Tensor], size: int) -> Tensor:
        levels = self._pooled_levels
        return pool_boxes(features[: len(levels)], levels, boxes, size, self.conventions, self.config.boxes.level_side)

    def _losses(
        self, outputs: list[Tensor], sizes: list[tuple[int, int]], padded: tuple[int, int], targets: list[Target]
    ) -> dict[str, Tensor]:
        features = self.pyramid(outputs)
        scores, deltas, anchors = self.rpn(features, padded)
        losses = self.rpn.losses(scores, deltas, anchors, targets, self.generator)
        proposals = self.rpn.proposals(scores, deltas, anchors, sizes, train=True)
        losses |= self._head_losses(features, proposals, targets)
        weights = self.config.losses.model_dump(by_alias=True)
        losses["total"] = torch.stack([weights[name] * losses[name] for name in LOSS_NAMES]).sum()
        return losses

    def _head_losses(self, features: list[Tensor], proposals: list[Tensor], targets: list[Target]) -> dict[str, Tensor]:
        boxes, matches = self._sample_proposals(proposals, targets)
        labels = [
            torch.where(m >= 0, t.classes[m.clamp(min=0)], 0) if len(t.classes) else torch.zeros_like(m)
            for m, t in zip(matches, targets, strict=True)
        ]
        logits, codes = self.box_head(self._pool(features, boxes, self.config.boxes.pooled))
        label = torch.cat(labels)
        positive = torch.where(label > 0)[0]
        wanted = torch.cat(
            [
                encode_boxes(t.boxes[m[m >= 0]], b[m >= 0], self.conventions.box_weights)
                for b, m, t in zip(boxes, matches, targets, strict=True)
            ]
        )
        found = codes[positive, label[positive]]
        kind, beta = self.config.losses.box_loss, self.conventions.smooth_l1_beta
        losses = {
            "class": F.cross_entropy(logits, label, reduction="sum") / max(1, len(label)),
            "bbox": box_loss(found, wanted, kind, beta) / max(1, len(label)),
        }
        objects = [b[m >= 0] for b, m in zip(boxes, matches, strict=True)]
        maps = self.mask_head(self._pool(features, objects, self.config.mask.pooled))
        maps = maps[torch.arange(len(positive), device=maps.device), label[positive]]
        truth = torch.cat(
            [
                _mask_targets(t.masks, b, m[m >= 0], maps.shape[-1])
                for t, b, m in zip(targets, objects, matches, strict=True)
            ]
        )
        unsure = F.binary_cross_entropy_with_logits(maps, truth, reduction="sum")
        losses["mask"] = unsure / max(1, truth.numel())
        return losses

    @torch.no_grad()
    def _sample_proposals(self, proposals: list[Tensor], targets: list[Target]) -> tuple[list[Tensor], list[Tensor]]:
        """For each photo the boxes `[S, 4]` that the heads learn from, the truth's among them, and their matches."""
        settings = self.config.boxes
        boxes, matched = [], []
        for proposal, target in zip(proposals, targets, strict=True):
            candidates = torch.cat([proposal, target.boxes])
            matches = match_boxes(
                candidates,
                target.boxes,
                target.ignored,
                foreground=settings.foreground_iou,
                background=settings.background_iou,
                keep_best=False,
            )
            chosen = torch.cat(sample(matches, settings.samples, settings.positive_share, self.generator)).sort().values
            boxes.append(candidates[chosen])
            matched.append(matches[chosen])
        return boxes, matched

    def _choose(
        self, proposals: Tensor, logits: Tensor, codes: Tensor, size: tuple[int, int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Detections of one photo from its proposals: boxes `[D, 4]` on the resized grid, classes, scores."""
        settings = self.config.detect
        decoded = decode_boxes(codes, proposals, self.conventions.box_weights, self.conventions.box_clip)
        boxes = clip_boxes(decoded[:, 1:], size).reshape(-1, 4)
        scores = logits.softmax(-1)[:, 1:]
        labels = torch.arange(1, self.classes + 1, device=scores.device).expand_as(scores).flatten()
        scores = scores.flatten()
        sure = torch.where(scores > settings.min_confidence)[0]
        sure = sure[remove_small_boxes(boxes[sure], self.conventions.min_side)]
        boxes, scores, labels = boxes[sure], scores[sure], labels[sure]
        keep = batched_nms(boxes, scores, labels, settings.nms_iou)[: settings.max_detections]
        return boxes[keep], labels[keep], scores[keep]


def _mask_targets(masks: Tensor, boxes: Tensor, matches: Tensor, size: int) -> Tensor:
    """What the mask head should give: `[P, size, size]` in 0..1, cut from `masks` `[N, h, w]` at `boxes` `[P, 4]`."""
    if not len(boxes):
        return boxes.new_zeros((0, size, size))
    regions = torch.cat([matches[:, None].to(boxes), boxes], dim=1)
    cut: Tensor = roi_align(masks[:, None].to(boxes), regions, size, spatial_scale=1.0)
    return cut[:, 0]
