"""The region proposal network (RPN). Source: Ren et al., Faster R-CNN (2015)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import batched_nms, remove_small_boxes

from clothseg import cpu_path
from clothseg.config import AnchorSettings, FpnSettings, RpnSettings
from clothseg.distributed import DistributedContext
from clothseg.networks.layers.anchors import CachedAnchors
from clothseg.networks.layers.box_targets import (
    decode_boxes,
    draw_keys,
    encode_boxes,
    match_boxes,
    match_photos,
    sample,
)
from clothseg.networks.layers.fpn import LevelRows, level_rows, neighbours_3x3, patches_3x3
from clothseg.networks.layers.nms import padded_nms
from clothseg.networks.mask_rcnn.conventions import Conventions
from clothseg.networks.mask_rcnn.losses import matched_rows, rpn_losses
from clothseg.networks.placement import InputPlacement, clip_to_placements
from clothseg.networks.target import Target
from clothseg.networks.transfer import TensorCache, to_device


@dataclass(frozen=True)
class Candidates:
    """The anchors with the best scores, refined.

    Attributes:
        boxes: `[B, N, 4]` in network coordinates, clipped.
        scores: `[B, N]`, what orders the proposals.
        levels: `[1, N]` int64; only boxes of one level suppress each other.
    """

    boxes: Tensor
    scores: Tensor
    levels: Tensor


class RegionProposalNetwork(nn.Module):
    """Scores and refines the anchors of every level with the same small head.

    Args:
        settings: of the head, of sampling and of proposals.
        anchors: scales and ratios.
        fpn: channels and levels of the features.
        conventions: the arithmetic to follow.
    """

    def __init__(
        self, settings: RpnSettings, anchors: AnchorSettings, fpn: FpnSettings, conventions: Conventions
    ) -> None:
        super().__init__()
        self.settings, self.conventions = settings, conventions
        self.anchors = CachedAnchors(anchors, fpn.levels, conventions.anchors, conventions.input)
        self._cells = TensorCache(4)
        channels = [fpn.channels] + [settings.channels or fpn.channels] * settings.num_conv
        shapes = {len(scales) * len(anchors.ratios) for scales in anchors.scales}
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(channels))
        self.score = nn.Conv2d(channels[-1], max(shapes), 1)
        self.delta = nn.Conv2d(channels[-1], max(shapes) * 4, 1)
        for layer in (*self.convs, self.score, self.delta):
            nn.init.normal_(layer.get_parameter("weight"), std=0.01)
            nn.init.constant_(layer.get_parameter("bias"), 0.0)

    def forward(self, features: list[Tensor], padded: tuple[int, int]) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Logits, box deltas and anchors.

        Args:
            features: FPN levels `[B, C, h, w]`.
            padded: height and width of the network's input.

        Returns:
            for each level logits `[B, h * w * A]` and box deltas `[B, h * w * A, 4]`; and what `anchors_of` gives.
        """
        scores, deltas = self.head(features)
        return scores, deltas, self.anchors_of(features, padded)

    def head(self, features: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Logits `[B, h * w * A]` and box deltas `[B, h * w * A, 4]` of each FPN level `[B, C, h, w]`, in float32."""
        if not cpu_path.uses_cpu_path(features[0]):
            return self._head_together(features)
        scores, deltas = [], []
        for feature in features:
            hidden = self._hidden(feature)
            scores.append(self.score(hidden).float().permute(0, 2, 3, 1).flatten(1))
            deltas.append(self.delta(hidden).float().permute(0, 2, 3, 1).reshape(len(feature), -1, 4))
        return scores, deltas

    def _hidden(self, feature: Tensor) -> Tensor:
        for conv in self.convs:
            feature = torch.relu_(conv(feature))
        return feature

    def _head_together(self, features: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """What `head` gives; each of the last, 1 x 1 convolutions is one operation for all levels."""
        cells = torch.cat([self._hidden(feature).flatten(2) for feature in features], dim=2)
        logits, deltas = (
            F.conv1d(cells, last.weight.flatten(2), last.bias).float().transpose(1, 2)
            for last in (self.score, self.delta)
        )
        counts = [feature.shape[2] * feature.shape[3] * self.score.out_channels for feature in features]
        return (
            list(torch.split(logits.flatten(1), counts, dim=1)),
            list(torch.split(deltas.reshape(len(cells), -1, 4), counts, dim=1)),
        )

    def anchors_of(self, features: list[Tensor], padded: tuple[int, int]) -> Tensor:
        """Anchors `[N, 4]` of all levels, in pixels of the input, whose height and width are `padded`.

        They are float64: on the features' device, or on the CPU if that has no double precision.
        """
        sizes = [(feature.shape[2], feature.shape[3]) for feature in features]
        return self.anchors.exact(sizes, padded, features[0].device)

    @torch.no_grad()
    def proposals(
        self,
        scores: list[Tensor],
        deltas: list[Tensor],
        anchors: Tensor,
        placements: Sequence[InputPlacement],
        train: bool,
    ) -> list[Tensor]:
        """The boxes for the heads, best first: `[P, 4]` for each photo, in network coordinates."""
        if not cpu_path.uses_cpu_path(scores[0]):
            boxes, valid = self.padded_proposals(scores, deltas, anchors, placements, train)
            return [box[:count] for box, count in zip(boxes, valid.sum(dim=1).tolist(), strict=True)]
        most = self._most(train)
        found = self._candidates(scores, deltas, anchors, placements, train)
        kept = [self._suppress(*part, found.levels[0])[:most] for part in zip(found.boxes, found.scores, strict=True)]
        if self.conventions.pad_proposals and not train:
            kept = [F.pad(box, (0, 0, 0, most - len(box))) for box in kept]
        return kept

    @torch.no_grad()
    def padded_proposals(
        self,
        scores: list[Tensor],
        deltas: list[Tensor],
        anchors: Tensor,
        placements: Sequence[InputPlacement],
        train: bool,
    ) -> tuple[Tensor, Tensor]:
        """The same as `proposals` with fixed shapes: boxes `[B, P, 4]`, and `[B, P]` bool, which of them are valid.

        The valid ones come first. A GPU is waited for once, in NMS.
        """
        conventions, most = self.conventions, self._most(train)
        found = self._candidates(scores, deltas, anchors, placements, train)
        valid = None
        if conventions.rpn_min_side:
            valid = ((found.boxes[..., 2:] - found.boxes[..., :2]) >= conventions.rpn_min_side).all(dim=-1)
        keep = padded_nms(found.boxes, found.scores, found.levels, valid, self.settings.nms_iou)
        order = found.scores.masked_fill(~keep, -torch.inf).sort(dim=1, descending=True, stable=True).indices[:, :most]
        boxes, valid = found.boxes.gather(1, order[..., None].expand(-1, -1, 4)), keep.gather(1, order)
        if conventions.pad_proposals and not train:
            boxes = F.pad(boxes * valid[..., None], (0, 0, 0, most - boxes.shape[1]))
            valid = torch.ones_like(boxes[..., 0], dtype=torch.bool)
        return boxes, valid

    def _most(self, train: bool) -> int:
        """The largest number of proposals for each photo."""
        return self.settings.post_nms_top_n_train if train else self.settings.post_nms_top_n_test

    def _candidates(
        self,
        scores: list[Tensor],
        deltas: list[Tensor],
        anchors: Tensor,
        placements: Sequence[InputPlacement],
        train: bool,
    ) -> Candidates:
        conventions = self.conventions
        count = self.settings.pre_nms_top_n_train if train else self.settings.pre_nms_top_n_test
        references = self.anchors.in_network_coords(anchors, placements[0].padded, scores[0].device)
        if conventions.levels_together:
            scores, deltas = [torch.cat(scores, dim=1)], [torch.cat(deltas, dim=1)]
        if conventions.candidate_score == "probability":
            scores = [score.sigmoid() for score in scores]
        tops, places, chosen, levels, first = [], [], [], [], 0
        for number, (score, delta) in enumerate(zip(scores, deltas, strict=True)):
            top, index = _best(score, count, first_of_equals=conventions.candidate_score == "probability")
            tops.append(top)
            places.append(index + first)
            chosen.append(delta.gather(1, index[..., None].expand(-1, -1, 4)))
            levels.append(torch.full_like(index[:1], number))
            first += score.shape[1]
        best, of_best = torch.cat(tops, dim=1), torch.cat(chosen, dim=1)
        reference = references[torch.cat(places, dim=1).flatten()]
        boxes = decode_boxes(of_best.flatten(0, 1), reference, conventions.rpn_box_weights, conventions.box_clip)
        boxes = clip_to_placements(
            boxes.view_as(of_best), placements, conventions.input, padded=conventions.clip_to_padded
        )
        if conventions.proposal_score == "probability" and conventions.candidate_score == "logit":
            best = best.sigmoid()
        return Candidates(boxes, best, torch.cat(levels, dim=1))

    def _suppress(self, box: Tensor, score: Tensor, level: Tensor) -> Tensor:
        if self.conventions.rpn_min_side:
            large = remove_small_boxes(box, self.conventions.rpn_min_side)
            box, score, level = box[large], score[large], level[large]
        return box[batched_nms(box, score, level, self.settings.nms_iou)]

    def losses(
        self,
        features: list[Tensor],
        anchors: Tensor,
        targets: Sequence[Target],
        generators: Sequence[torch.Generator],
        distributed: DistributedContext,
        rows: LevelRows | None = None,
    ) -> dict[str, Tensor]:
        """`rpn_class` and `rpn_bbox`, over the sampled anchors of the whole batch; each photo has a generator.

        `rows` are the features as `level_rows` gives them, if they were made before.
        """
        settings, anchors = self.settings, self.anchors.in_pixels(anchors, features[0].device)
        match = partial(
            match_boxes, foreground=settings.foreground_iou, background=settings.background_iou, keep_best=True
        )
        matches = match_photos(match, anchors, [t.boxes for t in targets], [t.ignored for t in targets])
        keys = draw_keys([len(anchors)] * len(targets), generators, anchors.device)
        place, matches = sample(matches, settings.samples, settings.positive_fraction, keys)
        logits, deltas = (values.flatten(0, 1) for values in self.sparse_head(features, place, rows))
        (truth,) = matched_rows([[target.boxes] for target in targets], matches)
        true_deltas = encode_boxes(truth, anchors[place.flatten()], self.conventions.rpn_box_weights)
        matches = matches.flatten()
        return rpn_losses(
            logits,
            (matches.clamp(max=0) + 1).to(true_deltas.dtype),  # NEGATIVE is -1, IGNORED is -2
            deltas,
            torch.where((matches >= 0)[:, None], true_deltas, deltas.detach()),
            settings.samples * len(targets),
            self.settings.box_loss,
            self.conventions,
            distributed,
        )

    def sparse_head(
        self, features: list[Tensor], place: Tensor, rows: LevelRows | None = None
    ) -> tuple[Tensor, Tensor]:
        """Logits `[B, S]` and box deltas `[B, S, 4]` of sampled anchors, as `forward` gives them.

        With one convolution these depend only on the 3 x 3 cells around each anchor, so that a step computes some
        hundred places, not all places of every level.

        Args:
            features: FPN levels `[B, C, h, w]`.
            place: `[B, S]` int64, the positions of each photo's anchors among those of all levels.
            rows: the features as `level_rows` gives them, if they were made before.
        """
        if len(self.convs) > 1:
            scores, deltas = (torch.cat(part, dim=1) for part in self.head(features))
            return scores.gather(1, place), deltas.gather(1, place[..., None].expand(-1, -1, 4))
        shapes = self.score.out_channels  # at every cell of every level
        patches = patches_3x3(rows or level_rows(features), self._neighbours(features), place // shapes)
        logits, deltas = self.sparse_head_rows(patches, (place % shapes).flatten())
        return logits.view(place.shape), deltas.view(*place.shape, 4)

    def _neighbours(self, features: list[Tensor]) -> Tensor:
        """See `neighbours_3x3`; kept for the sizes of the last inputs."""
        sizes, device = tuple((feature.shape[2], feature.shape[3]) for feature in features), features[0].device
        return self._cells.get((sizes, device), lambda: (to_device(neighbours_3x3(sizes), device),))[0]

    def sparse_head_rows(self, rows: Tensor, shape: Tensor) -> tuple[Tensor, Tensor]:
        """Logits `[S]` and box deltas `[S, 4]` of anchors, from the features around them.

        Args:
            rows: `[S, C * 9]`; see `patches_3x3`.
            shape: `[S]` int64, the number of each anchor among those of its cell.
        """
        weight, bias = (self.convs[0].get_parameter(name) for name in ("weight", "bias"))
        hidden, shape = torch.relu_(F.linear(rows, weight.flatten(1), bias)), shape[:, None]
        logits = F.linear(hidden, self.score.weight.flatten(1), self.score.bias).float().gather(1, shape).squeeze(1)
        deltas = F.linear(hidden, self.delta.weight.flatten(1), self.delta.bias).float().view(len(rows), -1, 4)
        return logits, deltas.gather(1, shape[..., None].expand(-1, -1, 4)).squeeze(1)


def _best(scores: Tensor, count: int, *, first_of_equals: bool) -> tuple[Tensor, Tensor]:
    """The highest `count` of scores `[B, N]` and their positions; many probabilities are 1.0, and so equal."""
    if not first_of_equals:
        top, index = scores.topk(min(count, scores.shape[1]), dim=1)
        return top, index
    top, index = scores.sort(dim=1, descending=True, stable=True)
    return top[:, :count], index[:, :count]
