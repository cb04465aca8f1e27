"""Assigns anchors to ground truth, as YOLACT does. Nothing here reads a value back to the processor."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.ops import box_area, box_iou

from clothseg.config import YolactAnchorSettings
from clothseg.networks.layers.box_targets import IGNORED, match_boxes
from clothseg.networks.target import Target


@torch.no_grad()
def match_anchors(anchors: Tensor, truth: Tensor, crowds: Tensor, settings: YolactAnchorSettings) -> Tensor:
    """Assigns anchors to ground truth by IoU; every object has at least one.

    Args:
        anchors: `[N, 4]`.
        truth: `[M, 4]`, boxes of objects; those without extent are matched to nothing.
        crowds: `[K, 4]`, boxes of crowds.
        settings: thresholds.

    Returns:
        `[N]` int64: the index of the ground truth, or NEGATIVE, or IGNORED.
    """
    foreground, background = settings.foreground_iou, settings.background_iou
    matches = match_boxes(
        anchors, truth, truth[:0], foreground=foreground, background=background, keep_best=False
    )  # fmt: skip
    if len(truth):
        matches = _match_best(matches, anchors, truth)
    if len(crowds):
        corners = torch.maximum(anchors[:, None, :2], crowds[:, :2]), torch.minimum(anchors[:, None, 2:], crowds[:, 2:])
        inside = (corners[1] - corners[0]).clamp(min=0).prod(dim=2)
        covered = (inside / box_area(anchors)[:, None]).amax(dim=1) > settings.crowd_overlap
        matches = matches.masked_fill(covered & (matches < 0), IGNORED)
    return matches


def _match_best(matches: Tensor, anchors: Tensor, truth: Tensor) -> Tensor:
    """Gives every object its best anchor, the object with the highest IoU first, and each anchor to one object.

    Of M objects none needs more than its best M anchors, so only these are compared.
    """
    best, places = box_iou(truth, anchors).topk(min(len(truth), len(anchors)), dim=1)
    empty = (truth[:, 2:] <= truth[:, :2]).any(dim=1)
    best = best.masked_fill(empty[:, None], -1.0)
    columns = best.shape[1]
    for _ in range(len(truth)):
        highest, position = best.flatten().max(dim=0, keepdim=True)
        number, place = position // columns, places.flatten()[position]
        matches = matches.scatter(0, place, torch.where(highest >= 0, number, matches[place]))
        taken = (places == place) | (torch.arange(len(truth), device=truth.device) == number)[:, None]
        best = best.masked_fill(taken, -1.0)
    return matches


def have_masks(matches: Tensor, targets: Sequence[Target]) -> Tensor:
    """Which anchors are matched to an object with a mask: `[B, N]` bool. `matches` `[B, N]` are those of `match`."""
    if all(t.all_have_masks for t in targets):
        return matches >= 0
    rows = zip(matches, targets, strict=True)
    return torch.stack([(of_photo >= 0) & (of_photo < len(t.masks)) for of_photo, t in rows])
