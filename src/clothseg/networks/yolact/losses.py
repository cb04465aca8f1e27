"""The four losses of YOLACT, unweighted. Source: Bolya et al., YOLACT (2019), sections 3.4 and 5.1."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from clothseg.networks.placement import Size
from clothseg.networks.target import Target, touched_cells
from clothseg.networks.yolact.masks import assemble_masks, boxes_in_cells


@torch.no_grad()
def hard_negatives(logits: Tensor, labels: Tensor, per_positive: float) -> Tensor:
    """The negative anchors that look most like an object, photo by photo.

    Args:
        logits: `[B, N, K + 1]`.
        labels: `[B, N]` int64, 0 for background, -1 for an anchor that does not count.
        per_positive: how many, for each positive anchor of the photo.

    Returns:
        `[B, N]` bool.
    """
    hardness = (logits.logsumexp(dim=2) - logits[..., 0]).masked_fill(labels != 0, -1.0)
    order = hardness.sort(dim=1, descending=True, stable=True).indices
    rank = torch.empty_like(order).scatter_(
        1, order, torch.arange(order.shape[1], device=order.device).expand_as(order)
    )
    most = ((labels > 0).sum(dim=1, keepdim=True) * per_positive).clamp(max=labels.shape[1] - 1)
    return (rank < most) & (labels == 0)


def class_loss(logits: Tensor, labels: Tensor, per_positive: float, count: float | Tensor) -> Tensor:
    """Cross entropy of positive and hard negative anchors, summed and divided by `count`; see `hard_negatives`."""
    used = (labels > 0) | hard_negatives(logits, labels, per_positive)
    chosen = torch.where(used, labels, -1)
    return F.cross_entropy(logits.flatten(0, 1), chosen.flatten(), ignore_index=-1, reduction="sum") / count


def box_loss(deltas: Tensor, true_deltas: Tensor, positive: Tensor, beta: float, count: float | Tensor) -> Tensor:
    """Smooth L1 of positive anchors, summed and divided by `count`.

    Args:
        deltas: `[B, N, 4]`.
        true_deltas: `[B, N, 4]`; any where the anchor is not positive.
        positive: `[B, N]` bool.
        beta: where smooth L1 turns from a parabola to a line.
        count: the divisor.
    """
    wanted = torch.where(positive[..., None], true_deltas, deltas.detach())
    return F.smooth_l1_loss(deltas, wanted, beta=beta, reduction="sum") / count


@dataclass(frozen=True)
class PositiveMasks:
    """What a photo's masks are learned from.

    Attributes:
        prototypes: `[count, h, w]`.
        coefficients: `[P, count]`, after their tanh, of the chosen positive anchors.
        boxes: `[P, 4]`, the boxes of their objects, in pixels of the input.
        truth: `[P, h, w]` bool, the masks of their objects.
        positive: positive anchors of the photo whose object has a mask, of which P are chosen.
    """

    prototypes: Tensor
    coefficients: Tensor
    boxes: Tensor
    truth: Tensor
    positive: int


def mask_loss(photo: PositiveMasks, padded: Size, margin: float) -> Tensor:
    """The sum over a photo's positive anchors of the cross entropy per cell of the object's box.

    The cross entropy is one of probabilities: a cell of the object outside the crop costs 100, whatever the logits. A
    box counts as one cell wide and high at least, so that tiny objects do not outweigh all others.

    Args:
        photo: see there; those that were not chosen are made up for.
        padded: height and width of the input.
        margin: cells around a box that its mask may reach.
    """
    found = assemble_masks(photo.prototypes, photo.coefficients, photo.boxes, padded, margin)
    size = (photo.prototypes.shape[1], photo.prototypes.shape[2])
    entropy = F.binary_cross_entropy(found, photo.truth.to(found.dtype), reduction="none").sum(dim=(1, 2))
    cells = boxes_in_cells(photo.boxes, padded, size)
    area = (cells[:, 2:] - cells[:, :2]).clamp(min=1.0).prod(dim=1)
    total = (entropy / area).sum()
    chosen = len(photo.coefficients)
    return total * (photo.positive / chosen) if chosen < photo.positive else total


def semantic_truth(maps: Tensor, classes: Tensor, count: int) -> Tensor:
    """Where each of `count` classes is: `[count, h, w]` float, the union of maps `[N, h, w]` bool of its objects."""
    of_class = classes[None] == torch.arange(1, count + 1, device=classes.device)[:, None]
    return ((of_class.float() @ maps.flatten(1).float()) > 0).float().view(count, *maps.shape[1:])


def semantic_weights(truth: Tensor, target: Target, padded: Size) -> Tensor:
    """What the semantic loss learns from: `[K, h, w]` float, 0 for what nobody knows.

    A cell that the box of an object without a mask touches may belong to that object. So it is 0 for the object's
    class, unless another object of the class is there.

    Args:
        truth: `[K, h, w]`, as `semantic_truth` gives it.
        target: of the photo, boxes in pixels of the input.
        padded: height and width of the input.
    """
    count, height, width = truth.shape
    first = len(target.masks)
    cells = boxes_in_cells(target.boxes[first:], padded, (height, width))
    rows, columns = touched_cells(cells, (height, width))
    unknown = semantic_truth(rows[:, :, None] & columns[:, None], target.classes[first:], count) > truth
    return (~unknown).to(truth.dtype)


def semantic_loss(logits: Tensor, truth: Tensor, weights: Tensor | None = None) -> Tensor:
    """Cross entropy of each class on its own, summed over the classes, and its mean over places and photos.

    Args:
        logits: `[B, K, h, w]`, without background.
        truth: the same shape, 0 or 1.
        weights: the same shape, a factor of each term; the number of places that is divided by stays the same.
    """
    photos, _, height, width = logits.shape
    return F.binary_cross_entropy_with_logits(logits, truth, weights, reduction="sum") / (height * width * photos)
