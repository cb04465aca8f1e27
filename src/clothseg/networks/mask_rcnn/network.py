"""Mask R-CNN: the parts put together. Source: He et al., Mask R-CNN (2017), with a feature pyramid."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from clothseg.config import Config
from clothseg.instances import BoxMasks, Instances, clip_boxes
from clothseg.networks.backbones.backbone import STAGES, build_trunk
from clothseg.networks.compile import CompiledMaps, Maps
from clothseg.networks.input import Window, into_photo, inward, place_window
from clothseg.networks.layers.box_coder import encode_boxes
from clothseg.networks.layers.fpn import FeaturePyramid
from clothseg.networks.layers.matching import mask_targets, match_boxes, sample
from clothseg.networks.layers.roi_align import for_pooling, pool_boxes
from clothseg.networks.mask_rcnn.conventions import Conventions
from clothseg.networks.mask_rcnn.heads import BoxHead, MaskHead
from clothseg.networks.mask_rcnn.losses import head_losses, mask_loss
from clothseg.networks.mask_rcnn.postprocess import Found, choose_detections, with_mask_scores
from clothseg.networks.mask_rcnn.rpn import RegionProposals
from clothseg.networks.network import LOSS_NAMES, Network
from clothseg.networks.resize import Target, pad_images, padded_size, resize_image, resize_target
from clothseg.networks.share import ALONE

_MASKS_TOGETHER = 25


@dataclass(frozen=True)
class Prepared:
    """One photo as far as the trained stages: what can be kept while frozen stages stay as they are.

    Attributes:
        outputs: the frozen stages' outputs `[C, h, w]` by stage, as `Trunk.frozen_part` gives them.
        window: the photo's place in the padded input.
        target: the truth on the resized grid.
    """

    outputs: dict[int, Tensor]
    window: Window
    target: Target


class MaskRCNNNetwork(Network):
    """Mask R-CNN for `classes` classes besides background.

    `generator` draws the anchors and proposals that a step learns from; seed it for a repeatable training. `share` says
    which part of a batch the photos are, where several processes learn together.
    """

    def __init__(self, config: Config, classes: int, conventions: Conventions) -> None:
        super().__init__()
        self.config, self.conventions, self.classes = config, conventions, classes
        self.generator = torch.Generator().manual_seed(config.train.seed)
        self.share = ALONE
        self.backbone = build_trunk(config.backbone, config.pyramid.levels, conventions)
        self.backbone.recompute = config.train.checkpoint_activations
        self.pyramid = FeaturePyramid(self.backbone.channels, config.pyramid, conventions.norm_eps)
        self.rpn = RegionProposals(config, conventions)
        self.box_head = BoxHead(config, classes, conventions.norm_eps)
        self.mask_head = MaskHead(config, classes, conventions.norm_eps)
        self._compiled: CompiledMaps | None = None
        self.pooled_levels = tuple(level for level in config.pyramid.levels if level <= STAGES)

    def losses(self, images: list[Tensor], targets: list[Instances]) -> dict[str, Tensor]:
        """See `Network.losses`: `rpn_class`, `rpn_bbox`, `class`, `bbox`, `mask` and `total`."""
        pixels, windows = self.batch(images)
        truth = [resize_target(t, window).to(pixels.device) for t, window in zip(targets, windows, strict=True)]
        return self._losses(self.backbone(pixels), windows, truth)

    @torch.no_grad()
    def prepare(self, image: Tensor, target: Instances) -> Prepared:
        """Run the frozen stages on one photo, for `losses_prepared`; needs the fixed frame of `picture.resize: fit`."""
        pixels, windows = self.batch([image])
        outputs = {stage: x[0] for stage, x in self.backbone.frozen_part(pixels).items()}
        return Prepared(outputs, windows[0], resize_target(target, windows[0]).to(pixels.device))

    def losses_prepared(self, batch: list[Prepared]) -> dict[str, Tensor]:
        """What `losses` gives, from photos whose frozen stages were run before."""
        outputs = {stage: torch.stack([p.outputs[stage] for p in batch]) for stage in batch[0].outputs}
        windows, truth = [p.window for p in batch], [p.target for p in batch]
        return self._losses(self.backbone.trained_part(outputs), windows, truth)

    @torch.no_grad()
    def detect(self, images: list[Tensor]) -> list[Instances]:
        """See `Network.detect`. Masks stay small until they are asked for."""
        pixels, windows = self.batch(images)
        if self.config.detect.channels_last or self._compiled:
            pixels = pixels.contiguous(memory_format=torch.channels_last)
        features, scores, deltas = (self._compiled or self._maps)(pixels)
        anchors = self.rpn.anchors_of(features, windows[0].padded)
        proposals = self.rpn.proposals(scores, deltas, anchors, windows, train=False)
        features = for_pooling(features[: len(self.pooled_levels)])
        logits, codes = self.box_head(self.pool(features, proposals, self.config.boxes.pooled, windows[0].padded))
        counts = [len(p) for p in proposals]
        parts = zip(proposals, torch.split(logits, counts), torch.split(codes, counts), windows, strict=True)
        found = [choose_detections(*part, self.config.detect, self.conventions) for part in parts]
        pooled = self.pool(features, [f.boxes for f in found], self.config.mask.pooled, windows[0].padded)
        probabilities = self._probabilities(pooled, torch.cat([f.classes for f in found]))
        masks = torch.split(probabilities, [len(f.boxes) for f in found])
        return [self._placed(*part) for part in zip(images, windows, found, masks, strict=True)]

    def _probabilities(self, pooled: Tensor, classes: Tensor) -> Tensor:
        """Small masks `[D, 28, 28]` from detections' features; on a CPU a few at a time, which its cache likes."""
        together = _MASKS_TOGETHER if pooled.device.type == "cpu" else max(len(classes), 1)
        pooled = pooled.contiguous(memory_format=torch.channels_last)
        parts = zip(torch.split(pooled, together), torch.split(classes, together), strict=True)
        return torch.cat([self.mask_head.of_class(*part) for part in parts]).sigmoid()

    def _maps(self, pixels: Tensor) -> Maps:
        """Pyramid levels `[B, C, h, w]`, finest first, and what the proposals' head says of each.

        The order of memory is as in training unless `detect.channels_last` is set or they are compiled: it changes the
        last digits, and in a network whose scores lie close together they choose other proposals than torchvision's.
        """
        features = self.pyramid(self.backbone(pixels))
        return features, *self.rpn.head(features)

    def compile_maps(self) -> str:
        """Compile trunk, pyramid and proposals' head for `detect`: a minute at the first photo, a gain at all others.

        Returns:
            empty, or why this machine cannot; `detect` goes on uncompiled then, with the same answers.
        """
        self._compiled = self._compiled or CompiledMaps(self._maps, self)
        return self._compiled.why_not

    def _placed(self, image: Tensor, window: Window, found: Found, masks: Tensor) -> Instances:
        """Detections in the photo's own pixels, without those that have no extent there."""
        if self.config.detect.mask_score:
            found, masks = with_mask_scores(found, masks, self.config.detect)
        original = (image.shape[1], image.shape[2])
        boxes = clip_boxes(into_photo(found.boxes, window, original, self.conventions), original)
        kept = torch.where((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))[0]
        small = BoxMasks(masks[kept], boxes[kept], original, self.config.detect.mask_threshold, self.conventions.paste)
        return Instances(original, boxes[kept], found.classes[kept], small, found.scores[kept])

    def batch(self, images: list[Tensor]) -> tuple[Tensor, list[Window]]:
        """The padded input `[B, 3, H, W]` on the network's device, and each photo's place in it."""
        device, picture = next(self.parameters()).device, self.config.picture
        rounding = self.conventions.size_rounding
        sizes = [picture.resized((image.shape[1], image.shape[2]), rounding) for image in images]
        padded = self.share.largest(padded_size(sizes, picture, self.conventions))
        windows = [place_window(size, padded, self.conventions) for size in sizes]
        resized = [
            resize_image(image.to(device, non_blocking=True), size, self.conventions)
            for image, size in zip(images, sizes, strict=True)
        ]
        return pad_images(resized, windows, self.conventions), windows

    def pool(self, features: list[Tensor], boxes: list[Tensor], size: int, padded: tuple[int, int]) -> Tensor:
        """Features `[sum of P, C, size, size]` of boxes in the network's own coordinates; see `pool_boxes`."""
        levels, side = self.pooled_levels, self.config.boxes.level_side
        return pool_boxes(features[: len(levels)], levels, boxes, size, self.conventions, side, padded)

    def _losses(self, outputs: list[Tensor], windows: list[Window], targets: list[Target]) -> dict[str, Tensor]:
        features = self.pyramid(outputs)
        with torch.no_grad():
            scores, deltas, anchors = self.rpn(features, windows[0].padded)
        generators = self.share.generators(self.generator, len(targets))
        losses = self.rpn.losses(features, anchors, targets, generators, self.share)
        proposals = self.rpn.proposals(scores, deltas, anchors, windows, train=True)
        inside = [self._inside(target, window) for target, window in zip(targets, windows, strict=True)]
        boxes, matches = self._sample_proposals(proposals, inside, generators)
        losses |= self.head_losses(features, windows, boxes, matches, inside)
        weights = self.config.losses.model_dump(by_alias=True)
        losses["total"] = torch.stack([weights[name] * losses[name] for name in LOSS_NAMES]).sum()
        return losses

    def _inside(self, target: Target, window: Window) -> Target:
        """The truth with its boxes in the network's own coordinates."""
        boxes, ignored = (inward(b, window.padded, self.conventions) for b in (target.boxes, target.ignored))
        return replace(target, boxes=boxes, ignored=ignored)

    def head_losses(
        self,
        features: list[Tensor],
        windows: list[Window],
        boxes: list[Tensor],
        matches: list[Tensor],
        targets: list[Target],
    ) -> dict[str, Tensor]:
        """`class`, `bbox` and `mask` for chosen boxes.

        Args:
            features: pyramid levels.
            windows: the photos' places in the input.
            boxes: for each photo `[S, 4]`, in the network's own coordinates.
            matches: for each photo `[S]`, the box of its truth that each stands for, or a negative number.
            targets: the photos' truth, boxes in the network's own coordinates.
        """
        padded, kind = windows[0].padded, self.config.losses.box_loss
        label = torch.cat(
            [
                torch.where(m >= 0, t.classes[m.clamp(min=0)], 0) if len(t.classes) else torch.zeros_like(m)
                for m, t in zip(matches, targets, strict=True)
            ]
        )
        positive = torch.where(label > 0)[0]
        objects = [b[m >= 0] for b, m in zip(boxes, matches, strict=True)]
        matched = [m[m >= 0] for m in matches]
        wanted = [
            encode_boxes(t.boxes[m], b, self.conventions.box_weights)
            for b, m, t in zip(objects, matched, targets, strict=True)
        ]
        logits, codes = self.box_head(self.pool(features, boxes, self.config.boxes.pooled, padded))
        losses = head_losses(
            logits, label, codes[positive, label[positive]], torch.cat(wanted), kind, self.conventions, self.share
        )
        maps = self.mask_head.of_class(self.pool(features, objects, self.config.mask.pooled, padded), label[positive])
        truth = [
            mask_targets(t.masks, b, m, maps.shape[-1], w, self.conventions)
            for t, b, m, w in zip(targets, objects, matched, windows, strict=True)
        ]
        return losses | {"mask": mask_loss(maps, torch.cat(truth), self.share)}

    @torch.no_grad()
    def _sample_proposals(
        self, proposals: list[Tensor], targets: list[Target], generators: list[torch.Generator]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """For each photo the boxes `[S, 4]` that the heads learn from, the truth's among them, and their matches."""
        settings = self.config.boxes
        boxes, matched = [], []
        for proposal, target, generator in zip(proposals, targets, generators, strict=True):
            candidates = torch.cat([proposal, target.boxes])
            matches = match_boxes(
                candidates,
                target.boxes,
                target.ignored,
                foreground=settings.foreground_iou,
                background=settings.background_iou,
                keep_best=False,
            )
            chosen = torch.cat(sample(matches, settings.samples, settings.positive_share, generator)).sort().values
            boxes.append(candidates[chosen])
            matched.append(matches[chosen])
        return boxes, matched
