"""The region proposal network: where there may be something. Source: Ren et al., Faster R-CNN (2015)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import batched_nms, remove_small_boxes

from clothseg.config import Config
from clothseg.instances import clip_boxes
from clothseg.networks.anchors import make_anchors
from clothseg.networks.box_coding import decode_boxes, encode_boxes
from clothseg.networks.box_loss import box_loss
from clothseg.networks.conventions import Conventions
from clothseg.networks.matching import match_boxes, sample
from clothseg.networks.resize import Target


class RegionProposals(nn.Module):
    """Scores and refines the anchors of every level with the same small head."""

    def __init__(self, config: Config, conventions: Conventions) -> None:
        super().__init__()
        self.settings, self.anchors, self.loss_kind = config.rpn, config.anchors, config.losses.box_loss
        self.conventions = conventions
        channels = config.pyramid.channels
        shapes = {len(scales) * len(config.anchors.ratios) for scales in config.anchors.scales}
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.score = nn.Conv2d(channels, max(shapes), 1)
        self.delta = nn.Conv2d(channels, max(shapes) * 4, 1)
        for layer in (self.conv, self.score, self.delta):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.constant_(layer.get_parameter("bias"), 0.0)

    def forward(self, features: list[Tensor], padded: tuple[int, int]) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Logits, codes and anchors.

        Args:
            features: pyramid levels `[B, C, h, w]`.
            padded: height and width of the network's input.

        Returns:
            for each level logits `[B, h * w * A]` and codes `[B, h * w * A, 4]`; anchors of all levels `[N, 4]`.
        """
        scores, deltas = [], []
        for feature in features:
            hidden = F.relu(self.conv(feature))
            scores.append(self.score(hidden).permute(0, 2, 3, 1).flatten(1))
            deltas.append(self.delta(hidden).permute(0, 2, 3, 1).reshape(len(feature), -1, 4))
        return scores, deltas, torch.cat(make_anchors(self.anchors, features, padded))

    @torch.no_grad()
    def proposals(
        self, scores: list[Tensor], deltas: list[Tensor], anchors: Tensor, sizes: list[tuple[int, int]], train: bool
    ) -> list[Tensor]:
        """Boxes that go on to the heads, best first: `[P, 4]` for each photo of resized `sizes`."""
        settings = self.settings
        candidates = settings.candidates_train if train else settings.candidates_detect
        most = settings.proposals_train if train else settings.proposals_detect
        counts = [level.shape[1] for level in scores]
        boxes, logits, levels = [], [], []
        for number, (score, delta, anchor) in enumerate(zip(scores, deltas, torch.split(anchors, counts), strict=True)):
            top, index = score.topk(min(candidates, score.shape[1]), dim=1)
            chosen = delta.gather(1, index[..., None].expand(-1, -1, 4))
            codes, references = chosen.flatten(0, 1), anchor[index.flatten()]
            decoded = decode_boxes(codes, references, self.conventions.rpn_box_weights, self.conventions.box_clip)
            boxes.append(decoded.view_as(chosen))
            logits.append(top)
            levels.append(torch.full_like(index, number))
        answer = []
        for photo, size in enumerate(sizes):
            box = clip_boxes(torch.cat([b[photo] for b in boxes]), size)
            score = torch.cat([s[photo] for s in logits]).sigmoid()
            level = torch.cat([n[photo] for n in levels])
            large = remove_small_boxes(box, self.conventions.rpn_min_side)
            box, score, level = box[large], score[large], level[large]
            answer.append(box[batched_nms(box, score, level, settings.nms_iou)[:most]])
        return answer

    def losses(
        self,
        scores: list[Tensor],
        deltas: list[Tensor],
        anchors: Tensor,
        targets: list[Target],
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        """`rpn_class` and `rpn_bbox`, both over the sampled anchors of the whole batch."""
        logits, codes = torch.cat(scores, dim=1), torch.cat(deltas, dim=1)
        settings = self.settings
        found, wanted, chosen, labels = [], [], [], []
        for photo, target in enumerate(targets):
            matches = match_boxes(
                anchors,
                target.boxes,
                target.ignored,
                foreground=settings.foreground_iou,
                background=settings.background_iou,
                keep_best=True,
            )
            positive, negative = sample(matches, settings.samples, settings.positive_share, generator)
            found.append(codes[photo, positive])
            truth = target.boxes[matches[positive]]
            wanted.append(encode_boxes(truth, anchors[positive], self.conventions.rpn_box_weights))
            chosen += [logits[photo, positive], logits[photo, negative]]
            labels += [torch.ones_like(chosen[-2]), torch.zeros_like(chosen[-1])]
        count = max(1, sum(len(c) for c in chosen))
        off = box_loss(torch.cat(found), torch.cat(wanted), self.loss_kind, self.conventions.smooth_l1_beta)
        unsure = F.binary_cross_entropy_with_logits(torch.cat(chosen), torch.cat(labels), reduction="sum")
        return {"rpn_class": unsure / count, "rpn_bbox": off / count}
