"""RoI Align from the pyramid level that suits a box's size. Source: Feature Pyramid Networks, equation 1."""

import torch
from torch import Tensor
from torchvision.ops import box_area, roi_align

from clothseg.networks.conventions import Conventions


def pool_boxes(
    features: list[Tensor],
    strides_log2: tuple[int, ...],
    boxes: list[Tensor],
    size: int,
    conventions: Conventions,
    level_side: float,
) -> Tensor:
    """Features of every box.

    Args:
        features: pyramid levels `[B, C, h, w]`, finest first.
        strides_log2: the level of each, as power of two.
        boxes: for each photo `[P, 4]` in pixels of the network's input.
        size: cells along a side of the answer.
        conventions: sampling and choice of level.
        level_side: side in pixels of a box that belongs to the level `conventions.level_at`.

    Returns:
        `[sum of P, C, size, size]`, photo by photo.
    """
    everything = torch.cat(boxes)
    photo = torch.cat([torch.full_like(b[:, :1], i) for i, b in enumerate(boxes)])
    regions = torch.cat([photo, everything], dim=1)
    side = box_area(everything).sqrt()
    level = torch.floor(conventions.level_at + torch.log2(side / level_side) + 1e-6)
    level = level.clamp(strides_log2[0], strides_log2[-1])
    answer = features[0].new_zeros((len(regions), features[0].shape[1], size, size))
    for feature, number in zip(features, strides_log2, strict=True):
        here = torch.where(level == number)[0]
        pooled = roi_align(
            feature,
            regions[here],
            size,
            spatial_scale=2.0**-number,
            sampling_ratio=conventions.roi_samples,
            aligned=conventions.roi_aligned,
        )
        answer = answer.index_copy(0, here, pooled.to(answer.dtype))
    return answer
