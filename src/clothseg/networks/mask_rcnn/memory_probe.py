"""A training step without numbers: the tensors that it makes have their shapes and nothing else.

What a step does with boxes depends on the photos; here each photo has the most objects there are, and as many proposals
are learned from as the configuration allows, spread evenly over the pyramid's levels.
"""

import math

import torch
from torch import Tensor
from torchvision.ops import box_iou, roi_align

from clothseg.networks.layers.gathering import gather_boxes
from clothseg.networks.layers.roi_align import sample_boxes
from clothseg.networks.mask_rcnn.network import MaskRCNNNetwork
from clothseg.networks.mask_rcnn.rpn import neighbours


def outline_loss(network: MaskRCNNNetwork, outputs: dict[int, Tensor], objects: int, *, on_cpu: bool = True) -> Tensor:
    """A number that hangs on every weight as the loss of a batch does.

    Args:
        network: on the device of `outputs`.
        outputs: of the frozen stages, as `Trunk.frozen_part` gives them.
        objects: on each photo.
        on_cpu: whether the step will run there, where boxes are pooled in another way.
    """
    batch = len(next(iter(outputs.values())))
    features = network.pyramid(network.backbone.trained_part(outputs))
    loss = _proposals(network, features, objects)
    settings = network.config.boxes
    learned = min(settings.samples, network.config.rpn.proposals_train + objects)
    positive = int(min(settings.samples * settings.positive_share, learned)) if objects else 0
    logits, codes = network.box_head(_pool(network, features, batch * learned, settings.pooled, on_cpu=on_cpu))
    loss = loss + logits.sum() + codes.sum()
    pooled = _pool(network, features, batch * positive, network.config.mask.pooled, on_cpu=on_cpu)
    classes = torch.zeros(len(pooled), dtype=torch.int64, device=pooled.device)
    answer: Tensor = loss + network.mask_head.of_class(pooled, classes).sum()
    return answer


def _proposals(network: MaskRCNNNetwork, features: list[Tensor], objects: int) -> Tensor:
    rpn = network.rpn
    if len(rpn.convs) > 1:
        scores, deltas = rpn.head(features)
        logits, codes = torch.cat(scores, dim=1), torch.cat(deltas, dim=1)
        anchors = logits.shape[1]
    else:
        with torch.no_grad():
            scores, _ = rpn.head(features)
        anchors = sum(score.shape[1] for score in scores)
        share = math.ceil(min(network.config.rpn.samples, anchors) * len(features[0]) / len(features))
        places = torch.zeros(share, dtype=torch.int64, device=features[0].device)
        rows = torch.cat([neighbours(feature, places, places) for feature in features])
        rows = rows[torch.arange(len(rows), device=rows.device)]  # put back in the order of the photos
        logits, codes = rpn.answers_of(rows, torch.zeros(len(rows), dtype=torch.int64, device=rows.device))
    box_iou(codes.new_empty((objects, 4)), codes.new_empty((anchors, 4)))  # the matching of one photo
    return logits.sum() + codes.sum()


def _pool(network: MaskRCNNNetwork, features: list[Tensor], count: int, size: int, *, on_cpu: bool) -> Tensor:
    levels = features[: len(network.pooled_levels)]
    share = math.ceil(count / len(levels))
    answer = features[0].new_zeros((share * len(levels), features[0].shape[1], size, size))
    places = torch.zeros(share, dtype=torch.int64, device=answer.device)
    for feature in levels:
        if network.conventions.pooling == "sample":
            pooled = sample_boxes(feature, places, feature.new_empty((share, 4)), size)
        else:
            aligned, samples = network.conventions.roi_aligned, network.conventions.roi_samples
            if on_cpu:
                boxes = feature.new_empty((share, 4), dtype=torch.float32)
                how_often = samples or 1  # it depends on the boxes; once at least
                pooled = gather_boxes(feature, places, boxes, size, scale=1.0, samples=how_often, aligned=aligned)
            else:
                pooled = roi_align(feature, feature.new_empty((share, 5)), size, 1.0, samples, aligned)
        answer = answer.index_copy(0, places, pooled.to(answer.dtype))
    return answer
