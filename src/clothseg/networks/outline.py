"""A training step without numbers: the tensors that it makes have their shapes and nothing else.

What a step does with boxes depends on the photos; here each photo has the most objects there are, and as many proposals
are learned from as the configuration allows, spread evenly over the pyramid's levels.
"""

import math

import torch
from torch import Tensor
from torchvision.ops import box_iou, roi_align

from clothseg.networks.mask_rcnn import MaskRCNNNetwork
from clothseg.networks.pooling import sample_boxes


def outline_loss(network: MaskRCNNNetwork, outputs: dict[int, Tensor], objects: int) -> Tensor:
    """A number that hangs on every weight as the loss of a batch does.

    Args:
        network: on the device of `outputs`.
        outputs: of the frozen stages, as `Trunk.frozen_part` gives them.
        objects: on each photo.
    """
    batch = len(next(iter(outputs.values())))
    features = network.pyramid(network.backbone.trained_part(outputs))
    loss = _proposals(network, features, objects)
    settings = network.config.boxes
    learned = min(settings.samples, network.config.rpn.proposals_train + objects)
    positive = int(min(settings.samples * settings.positive_share, learned)) if objects else 0
    logits, codes = network.box_head(_pool(network, features, batch * learned, settings.pooled))
    loss = loss + logits.sum() + codes.sum()
    pooled = _pool(network, features, batch * positive, network.config.mask.pooled)
    classes = torch.zeros(len(pooled), dtype=torch.int64, device=pooled.device)
    answer: Tensor = loss + network.mask_head.of_class(pooled, classes).sum()
    return answer


def _proposals(network: MaskRCNNNetwork, features: list[Tensor], objects: int) -> Tensor:
    scores, deltas = [], []
    for feature in features:
        hidden = feature
        for conv in network.rpn.convs:
            hidden = torch.relu_(conv(hidden))
        scores.append(network.rpn.score(hidden).permute(0, 2, 3, 1).flatten(1))
        deltas.append(network.rpn.delta(hidden).permute(0, 2, 3, 1).reshape(len(feature), -1, 4))
    logits, codes = torch.cat(scores, dim=1), torch.cat(deltas, dim=1)
    anchors = logits.shape[1]
    box_iou(codes.new_empty((objects, 4)), codes.new_empty((anchors, 4)))  # the matching of one photo
    return logits.sum() + codes.sum()


def _pool(network: MaskRCNNNetwork, features: list[Tensor], count: int, size: int) -> Tensor:
    levels = features[: len(network.pooled_levels)]
    share = math.ceil(count / len(levels))
    answer = features[0].new_zeros((share * len(levels), features[0].shape[1], size, size))
    places = torch.zeros(share, dtype=torch.int64, device=answer.device)
    for feature in levels:
        if network.conventions.pooling == "sample":
            pooled = sample_boxes(feature, places, feature.new_empty((share, 4)), size)
        else:
            aligned, samples = network.conventions.roi_aligned, network.conventions.roi_samples
            pooled = roi_align(feature, feature.new_empty((share, 5)), size, 1.0, samples, aligned)
        answer = answer.index_copy(0, places, pooled.to(answer.dtype))
    return answer
