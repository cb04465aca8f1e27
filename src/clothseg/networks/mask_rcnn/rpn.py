"""The region proposal network (RPN). Source: Ren et al., Faster R-CNN (2015)."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import batched_nms, remove_small_boxes

from clothseg.config import AnchorSettings, FpnSettings, RpnSettings
from clothseg.distributed import DistributedContext
from clothseg.instances import clip_to
from clothseg.networks.input import InputPlacement, Target, placement_bounds, to_network_coords
from clothseg.networks.layers.anchors import make_anchors
from clothseg.networks.layers.box_coder import decode_boxes, encode_boxes
from clothseg.networks.layers.matching import draw_keys, match_boxes, sample
from clothseg.networks.mask_rcnn.conventions import Conventions
from clothseg.networks.mask_rcnn.losses import matched_rows, rpn_losses

_KNOWN_SIZES = 8  # photos of a dataset have few sizes, or very many


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
        self.settings, self.anchors, self.conventions, self.levels = settings, anchors, conventions, fpn.levels
        channels = [fpn.channels] + [settings.channels or fpn.channels] * settings.num_conv
        shapes = {len(scales) * len(anchors.ratios) for scales in anchors.scales}
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(channels))
        self.score = nn.Conv2d(channels[-1], max(shapes), 1)
        self.delta = nn.Conv2d(channels[-1], max(shapes) * 4, 1)
        for layer in (*self.convs, self.score, self.delta):
            nn.init.normal_(layer.get_parameter("weight"), std=0.01)
            nn.init.constant_(layer.get_parameter("bias"), 0.0)
        self._known_neighbours: dict[tuple[tuple[tuple[int, int], ...], torch.device], Tensor] = {}

    def forward(self, features: list[Tensor], padded: tuple[int, int]) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Logits, box deltas and anchors.

        Args:
            features: FPN levels `[B, C, h, w]`.
            padded: height and width of the network's input.

        Returns:
            for each level logits `[B, h * w * A]` and box deltas `[B, h * w * A, 4]`; anchors of all levels `[N, 4]`,
            float64, in pixels of the input.
        """
        scores, deltas = self.head(features)
        return scores, deltas, self.anchors_of(features, padded)

    def head(self, features: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Logits `[B, h * w * A]` and box deltas `[B, h * w * A, 4]` of each FPN level `[B, C, h, w]`."""
        scores, deltas = [], []
        for feature in features:
            hidden = feature
            for conv in self.convs:
                hidden = torch.relu_(conv(hidden))
            scores.append(self.score(hidden).permute(0, 2, 3, 1).flatten(1))
            deltas.append(self.delta(hidden).permute(0, 2, 3, 1).reshape(len(feature), -1, 4))
        return scores, deltas

    def anchors_of(self, features: list[Tensor], padded: tuple[int, int]) -> Tensor:
        """Anchors `[N, 4]` float64 of all levels, in pixels of the input, whose height and width are `padded`."""
        sizes = [(feature.shape[2], feature.shape[3]) for feature in features]
        anchors = torch.cat(make_anchors(self.anchors, self.levels, sizes, padded, self.conventions.anchors))
        return anchors.to(features[0].device)

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
        settings, conventions = self.settings, self.conventions
        candidates = settings.pre_nms_top_n_train if train else settings.pre_nms_top_n_test
        most = settings.post_nms_top_n_train if train else settings.post_nms_top_n_test
        references = to_network_coords(anchors, placements[0].padded, conventions.input)
        if conventions.levels_together:
            scores, deltas = [torch.cat(scores, dim=1)], [torch.cat(deltas, dim=1)]
        if conventions.candidate_score == "probability":
            scores = [score.sigmoid() for score in scores]
        boxes, tops, levels = [], [], []
        counts = [level.shape[1] for level in scores]
        for number, (score, delta, anchor) in enumerate(
            zip(scores, deltas, torch.split(references, counts), strict=True)
        ):
            top, index = _best(score, candidates, first_of_equals=conventions.candidate_score == "probability")
            chosen = delta.gather(1, index[..., None].expand(-1, -1, 4))
            weights, clip = conventions.rpn_box_weights, conventions.box_clip
            decoded = decode_boxes(chosen.flatten(0, 1), anchor[index.flatten()], weights, clip)
            boxes.append(decoded.view_as(chosen))
            tops.append(top)
            levels.append(torch.full_like(index, number))
        parts = zip(torch.cat(boxes, dim=1), torch.cat(tops, dim=1), torch.cat(levels, dim=1), placements, strict=True)
        kept = [self._suppress(box, score, level, placement)[:most] for box, score, level, placement in parts]
        if conventions.pad_proposals and not train:
            kept = [F.pad(box, (0, 0, 0, most - len(box))) for box in kept]
        return kept

    def _suppress(self, box: Tensor, score: Tensor, level: Tensor, placement: InputPlacement) -> Tensor:
        conventions = self.conventions
        box = clip_to(box, placement_bounds(placement, conventions.input, padded=conventions.clip_to_padded))
        if conventions.proposal_score == "probability" and conventions.candidate_score == "logit":
            score = score.sigmoid()
        if conventions.rpn_min_side:
            large = remove_small_boxes(box, conventions.rpn_min_side)
            box, score, level = box[large], score[large], level[large]
        return box[batched_nms(box, score, level, self.settings.nms_iou)]

    def losses(
        self,
        features: list[Tensor],
        anchors: Tensor,
        targets: Sequence[Target],
        generators: Sequence[torch.Generator],
        distributed: DistributedContext,
    ) -> dict[str, Tensor]:
        """`rpn_class` and `rpn_bbox`, over the sampled anchors of the whole batch; each photo has a generator."""
        settings, anchors = self.settings, anchors.float()
        foreground, background = settings.foreground_iou, settings.background_iou
        every = [
            match_boxes(anchors, t.boxes, t.ignored, foreground=foreground, background=background, keep_best=True)
            for t in targets
        ]
        keys = draw_keys([len(anchors)] * len(targets), generators, anchors.device)
        matches = torch.stack(every) if len(every) > 1 else every[0][None]
        place, matches = sample(matches, settings.samples, settings.positive_fraction, keys)
        logits, deltas = (values.flatten(0, 1) for values in self.sparse_head(features, place))
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

    def sparse_head(self, features: list[Tensor], place: Tensor) -> tuple[Tensor, Tensor]:
        """Logits `[B, S]` and box deltas `[B, S, 4]` of sampled anchors, as `forward` gives them.

        With one convolution these depend only on the 3 x 3 cells around each anchor, so that a step computes some
        hundred places, not all places of every level.

        Args:
            features: FPN levels `[B, C, h, w]`.
            place: `[B, S]` int64, the positions of each photo's anchors among those of all levels.
        """
        if len(self.convs) > 1:
            scores, deltas = (torch.cat(part, dim=1) for part in self.head(features))
            return scores.gather(1, place), deltas.gather(1, place[..., None].expand(-1, -1, 4))
        shapes = self.score.out_channels  # at every cell of every level
        rows = patches_3x3(features, self._neighbours(features), place // shapes)
        logits, deltas = self.sparse_head_rows(rows, (place % shapes).flatten())
        return logits.view(place.shape), deltas.view(*place.shape, 4)

    def _neighbours(self, features: list[Tensor]) -> Tensor:
        """See `neighbours_3x3`; kept for the sizes of the last inputs."""
        sizes = tuple((feature.shape[2], feature.shape[3]) for feature in features)
        key = sizes, features[0].device
        if key not in self._known_neighbours:
            if len(self._known_neighbours) >= _KNOWN_SIZES:
                self._known_neighbours.clear()
            self._known_neighbours[key] = neighbours_3x3(sizes).to(features[0].device)
        return self._known_neighbours[key]

    def sparse_head_rows(self, rows: Tensor, shape: Tensor) -> tuple[Tensor, Tensor]:
        """Logits `[S]` and box deltas `[S, 4]` of anchors, from the features around them.

        Args:
            rows: `[S, C * 9]`; see `patches_3x3`.
            shape: `[S]` int64, the number of each anchor among those of its cell.
        """
        weight, bias = (self.convs[0].get_parameter(name) for name in ("weight", "bias"))
        hidden, shape = torch.relu_(F.linear(rows, weight.flatten(1), bias)), shape[:, None]
        logits = F.linear(hidden, self.score.weight.flatten(1), self.score.bias).gather(1, shape)[:, 0]
        deltas = F.linear(hidden, self.delta.weight.flatten(1), self.delta.bias).view(len(rows), -1, 4)
        return logits, deltas.gather(1, shape[..., None].expand(-1, -1, 4))[:, 0]


def neighbours_3x3(sizes: Sequence[tuple[int, int]]) -> Tensor:
    """The 3 x 3 cells around each cell of maps of these heights and widths, in the order of a convolution's weights.

    Returns:
        `[N, 9]` int64, N being the cells of all maps, which are numbered one map after the other, row by row. Beyond a
        map's edges there is N.
    """
    total, first, tables = sum(height * width for height, width in sizes), 0, []
    for height, width in sizes:
        cells = torch.arange(first, first + height * width).view(height, width)
        padded = F.pad(cells, (1, 1, 1, 1), value=total)
        tables.append(padded.unfold(0, 3, 1).unfold(1, 3, 1).reshape(-1, 9))
        first += height * width
    return torch.cat(tables)


def patches_3x3(features: list[Tensor], neighbours: Tensor, cell: Tensor) -> Tensor:
    """The 3 x 3 cells around each of `cell` `[B, S]`; zeros beyond the edges.

    Args:
        features: FPN levels `[B, C, h, w]`.
        neighbours: `[N, 9]`, as `neighbours_3x3` gives them.
        cell: `[B, S]` int64, numbers among the cells of all levels.

    Returns:
        `[B * S, C * 9]`.
    """
    batch, channels = features[0].shape[:2]
    maps = [feature.flatten(2).transpose(1, 2) for feature in features]
    rows = torch.cat([*maps, maps[0].new_zeros((batch, 1, channels))], dim=1)
    place = neighbours[cell]
    if batch > 1:
        place = place + torch.arange(batch, device=cell.device)[:, None, None] * rows.shape[1]
    # The gradient of an index adds up in the order in which threads finish; that of an embedding in a fixed order.
    found = F.embedding(place.view(-1, 9), rows.reshape(-1, channels))
    return found.transpose(1, 2).flatten(1)


def _best(scores: Tensor, count: int, *, first_of_equals: bool) -> tuple[Tensor, Tensor]:
    """The highest `count` of scores `[B, N]` and their positions; many probabilities are 1.0, and so equal."""
    if not first_of_equals:
        top, index = scores.topk(min(count, scores.shape[1]), dim=1)
        return top, index
    top, index = scores.sort(dim=1, descending=True, stable=True)
    return top[:, :count], index[:, :count]
