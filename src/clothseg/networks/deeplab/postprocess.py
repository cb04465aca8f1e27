"""From maps at the size of the input to detections: instances, chosen by score, on one label grid."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from clothseg.config import CenterSettings, ComponentSettings, InferenceSettings
from clothseg.networks.deeplab.instances import Groups, group_by_centers, group_by_connection
from clothseg.networks.detections import Detections, LabelGrid
from clothseg.networks.placement import InputPlacement


@dataclass(frozen=True)
class PhotoMaps:
    """What the heads say about one photo, at the size of the input.

    Attributes:
        logits: `[K + 1, H, W]`, of each class, background first.
        placement: where the photo lies in the input.
        heat: `[H, W]`, of centers; None without an instance head.
        offsets: `[2, H, W]`, to centers, in pixels; None without an instance head.
    """

    logits: Tensor
    placement: InputPlacement
    heat: Tensor | None = None
    offsets: Tensor | None = None

    def of_photo(self, maps: Tensor) -> Tensor:
        """The part of `maps` `[..., H, W]` that the photo has."""
        at = self.placement
        return maps[..., at.top : at.top + at.height, at.left : at.left + at.width]

    def on_input(self, grid: Tensor) -> Tensor:
        """A photo's `grid` `[h, w]` on the whole input `[H, W]`; the padding repeats its edge."""
        at = self.placement
        if at.size == at.padded:
            return grid
        starts, sides = (at.top, at.left), at.size
        y, x = (
            (torch.arange(whole, device=grid.device) - start).clamp(0, side - 1)
            for whole, start, side in zip(at.padded, starts, sides, strict=True)
        )
        return grid[y[:, None], x]


def detect_by_connection(
    photos: Sequence[PhotoMaps], settings: ComponentSettings, inference: InferenceSettings
) -> list[Detections]:
    """Detections as connected parts of a class. A GPU is waited for once."""
    likeliest: list[tuple[Tensor, Tensor]] = []
    for photo in photos:
        logits = photo.of_photo(photo.logits)
        best = logits.max(0)
        likeliest.append((best.indices.to(torch.int16), (best.values - logits.logsumexp(0)).exp()))
    if likeliest[0][0].is_cuda:
        likeliest = [(a.to("cpu", non_blocking=True), b.to("cpu", non_blocking=True)) for a, b in likeliest]
        torch.cuda.synchronize()
    detections = []
    for photo, (labels, probabilities) in zip(photos, likeliest, strict=True):
        groups = group_by_connection(labels.cpu(), probabilities.cpu(), settings.connectivity)
        detections.append(_choose(groups, probabilities, photo, settings.min_area, inference))
    return detections


def detect_by_centers(
    photos: Sequence[PhotoMaps], settings: CenterSettings, inference: InferenceSettings
) -> list[Detections]:
    """Detections as pixels that point to the same center."""
    detections = []
    for photo in photos:
        assert photo.heat is not None and photo.offsets is not None
        logits, heat, offsets = (photo.of_photo(maps) for maps in (photo.logits, photo.heat, photo.offsets))
        things = torch.arange(len(logits), device=logits.device) > 0
        groups, _ = group_by_centers(logits, heat, offsets, things, settings)
        own = _own_probabilities(logits, groups)
        detections.append(_choose(groups, own, photo, settings.min_area, inference))
    return detections


def _own_probabilities(logits: Tensor, groups: Groups) -> Tensor:
    """The probability of each pixel's instance's class, `[h, w]`; of background where no instance is."""
    classes = torch.cat([groups.classes.new_zeros(1), groups.classes])
    own = logits.gather(0, classes[groups.ids][None])[0]
    return (own - logits.logsumexp(0)).exp()


def _choose(
    groups: Groups, probabilities: Tensor, photo: PhotoMaps, min_area: int, inference: InferenceSettings
) -> Detections:
    """The instances that are large and certain enough, the best first, on one grid."""
    device, corner = photo.logits.device, (photo.placement.left, photo.placement.top)
    columns = (groups.scores[:, None], groups.areas[:, None], groups.classes[:, None], groups.boxes)
    table = torch.cat([column.float() for column in columns], 1).cpu()  # one read
    scores, areas, classes, boxes = table[:, 0], table[:, 1], table[:, 2].long(), table[:, 3:]
    kept = torch.where((areas >= max(1, min_area)) & (scores >= inference.score_threshold))[0]
    order = kept[scores[kept].argsort(descending=True, stable=True)][: inference.max_detections]
    numbers = torch.zeros(len(table) + 1, dtype=torch.int64)
    numbers[order + 1] = torch.arange(1, len(order) + 1)
    labels = numbers.to(groups.ids.device, non_blocking=True)[groups.ids].to(device, non_blocking=True)
    grid = LabelGrid(photo.on_input(labels), photo.on_input(probabilities.to(device)))
    return Detections(boxes[order] + boxes.new_tensor(corner * 2), classes[order], scores[order], grid)
