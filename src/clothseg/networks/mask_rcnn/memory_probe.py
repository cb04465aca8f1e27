"""The memory of a training step of Mask R-CNN, without values: tensors have their shapes and nothing else.

What a step does with boxes depends on the photos; here each photo has the most objects that there are, and a step
learns from as many proposals as the configuration allows, spread evenly over the levels of the pyramid.
"""

import math

import torch
from torch import Tensor
from torchvision.ops import box_iou, roi_align

from clothseg.config import MaskRCNNSettings
from clothseg.networks.layers.box_targets import photos_together
from clothseg.networks.layers.crop_and_resize import crop_and_resize, crop_and_resize_levels
from clothseg.networks.layers.fpn import level_rows
from clothseg.networks.layers.roi_align import RoiAlignConventions, roi_align_cpu
from clothseg.networks.mask_rcnn.heads import BoxHead, MaskHead, MaskRefinement
from clothseg.networks.mask_rcnn.rpn import RegionProposalNetwork


def probe_rpn(rpn: RegionProposalNetwork, features: list[Tensor], objects: int, *, on_cpu: bool) -> Tensor:
    """A scalar that depends on the RPN's weights and takes the memory of its losses.

    Args:
        rpn: the head.
        features: FPN levels `[B, C, h, w]`.
        objects: on each photo.
        on_cpu: whether the step will run there, where photos are matched one by one.
    """
    with torch.no_grad():
        scores, _ = rpn.head(features)
    anchors = sum(score.shape[1] for score in scores)
    places = (len(features[0]), min(rpn.settings.samples, anchors))
    logits, deltas = rpn.sparse_head(features, torch.zeros(places, dtype=torch.int64, device=features[0].device))
    together = 1 if on_cpu else min(photos_together(anchors, objects), len(features[0]))
    box_iou(deltas.new_empty((together, objects, 4)), deltas.new_empty((anchors, 4)))  # the matching
    return logits.sum() + deltas.sum()


def probe_heads(
    heads: tuple[BoxHead, MaskHead, MaskRefinement | None],
    features: list[Tensor],
    fine: list[Tensor],
    counts: tuple[int, int],
    settings: MaskRCNNSettings,
    conventions: RoiAlignConventions,
    *,
    on_cpu: bool,
) -> Tensor:
    """A scalar that depends on the heads' weights and takes the memory of their losses.

    Args:
        heads: of boxes, of masks, and of refined masks if there is one.
        features: those FPN levels `[B, C, h, w]` from which boxes are pooled.
        fine: the features `[B, c, h, w]` that refine masks, or none.
        counts: objects on each photo, and those of them that have a mask.
        settings: of the network.
        conventions: of pooling.
        on_cpu: whether the step will run there, where boxes are pooled in another way.
    """
    (box_head, mask_head, refinement), of_boxes, batch = heads, settings.box_head, len(features[0])
    learned = min(of_boxes.samples, settings.rpn.post_nms_top_n_train + counts[0])
    positive = int(min(of_boxes.samples * of_boxes.positive_fraction, learned)) if counts[1] else 0
    pooled = _pool(features, batch * learned, of_boxes.pool_size, conventions, on_cpu=on_cpu)
    logits, deltas = box_head(pooled)
    pooled = _pool(features, batch * positive, settings.mask_head.pool_size, conventions, on_cpu=on_cpu)
    classes = torch.zeros(len(pooled), dtype=torch.int64, device=pooled.device)
    masks = mask_head.forward_for_class(pooled, classes)
    answer: Tensor = logits.sum() + deltas.sum() + masks.sum()
    if refinement is not None:
        pooled = _pool(fine, len(masks), refinement.size, conventions, on_cpu=on_cpu)
        answer = answer + refinement(pooled, masks).sum()
    return answer


def _pool(features: list[Tensor], count: int, size: int, conventions: RoiAlignConventions, *, on_cpu: bool) -> Tensor:
    """Pools `count` boxes as a step does: on a CPU each level pools its own, on a GPU all; or one table does."""
    if conventions.method == "crop_and_resize" and not on_cpu:
        nowhere = torch.zeros(count, dtype=torch.int64, device=features[0].device)
        boxes = features[0].new_empty((count, 4), dtype=torch.float32)
        return crop_and_resize_levels(level_rows(features), nowhere, nowhere, boxes, size)
    share = math.ceil(count / len(features))
    answer = features[0].new_zeros((share * len(features) if on_cpu else count, features[0].shape[1], size, size))
    places = torch.zeros(share if on_cpu else count, dtype=torch.int64, device=answer.device)
    for feature in features:
        if conventions.method == "crop_and_resize":
            pooled = crop_and_resize(feature, places, feature.new_empty((len(places), 4)), size)
        elif on_cpu:
            boxes = feature.new_empty((share, 4), dtype=torch.float32)
            samples = conventions.sampling_ratio or 1  # 0: it depends on the boxes, and is at least 1
            aligned = conventions.aligned
            pooled = roi_align_cpu(feature, places, boxes, size, scale=1.0, samples=samples, aligned=aligned)
        else:
            boxes = feature.new_empty((count, 5))
            pooled = roi_align(feature, boxes, size, 1.0, conventions.sampling_ratio, conventions.aligned)
        pooled = pooled.to(answer.dtype)
        answer = answer.index_copy(0, places, pooled) if on_cpu else answer + pooled
    return answer
