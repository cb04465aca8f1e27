"""Assigns anchors to ground truth, as YOLACT does. Nothing here reads a value back to the processor."""

import torch
from torch import Tensor
from torchvision.ops import box_area, box_iou

from clothseg.config import YolactAnchorSettings
from clothseg.networks.layers.box_targets import IGNORED, match_boxes


@torch.no_grad()
def match_anchors(
    anchors: Tensor, truth: Tensor, crowds: Tensor, padding: Tensor | None = None, *, settings: YolactAnchorSettings
) -> Tensor:
    """Assigns anchors to ground truth by IoU; every object has at least one.

    Of one photo, or of several: then all but the anchors have a first dimension B more.

    Args:
        anchors: `[N, 4]`.
        truth: `[M, 4]`, boxes of objects; those without extent are matched to nothing.
        crowds: `[K, 4]`, boxes of crowds.
        padding: `[M]` bool, which rows of `truth` are none; None if all are. Such rows have no extent.
        settings: thresholds.

    Returns:
        `[N]` int64: the index of the ground truth, or NEGATIVE, or IGNORED.
    """
    foreground, background = settings.foreground_iou, settings.background_iou
    matches = match_boxes(
        anchors, truth, truth[..., :0, :], padding, foreground=foreground, background=background, keep_best=False
    )
    if truth.shape[-2]:
        matches = _match_best(matches, anchors, truth)
    if crowds.shape[-2]:
        ours, theirs = anchors[:, None], crowds[..., None, :, :]
        corners = torch.maximum(ours[..., :2], theirs[..., :2]), torch.minimum(ours[..., 2:], theirs[..., 2:])
        inside = (corners[1] - corners[0]).clamp(min=0).prod(dim=-1)
        covered = (inside / box_area(anchors)[:, None]).amax(dim=-1) > settings.crowd_overlap
        matches = matches.masked_fill(covered & (matches < 0), IGNORED)
    return matches


def _match_best(matches: Tensor, anchors: Tensor, truth: Tensor) -> Tensor:
    """Gives every object its best anchor, the object with the highest IoU first, and each anchor to one object.

    Of M objects none needs more than its best M anchors, so only these are compared.
    """
    objects = truth.shape[-2]
    best, places = box_iou(truth, anchors).topk(min(objects, len(anchors)), dim=-1)
    empty = (truth[..., 2:] <= truth[..., :2]).any(dim=-1)
    best = best.masked_fill(empty[..., None], -1.0)
    columns, numbers = best.shape[-1], torch.arange(objects, device=truth.device)
    for _ in range(objects):
        highest, position = best.flatten(-2).max(dim=-1, keepdim=True)
        number, place = position // columns, places.flatten(-2).gather(-1, position)
        matches = matches.scatter(-1, place, torch.where(highest >= 0, number, matches.gather(-1, place)))
        taken = (places == place[..., None]) | (numbers == number)[..., None]
        best = best.masked_fill(taken, -1.0)
    return matches
