"""Both stages of Mask R-CNN in an ONNX graph: torch exports what is dense, the rest is built here."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from clothseg.config import Config, MaskRCNNSettings
from clothseg.networks.input import InputTransform
from clothseg.networks.mask_rcnn.conventions import Conventions
from clothseg.networks.mask_rcnn.export import (
    canonical_size,
    detections_in_graph,
    network_anchors,
    proposals_in_graph,
)
from clothseg.networks.onnx.dense import include_dense
from clothseg.networks.onnx.detections import GraphDetections, anchors_in_graph, rescored
from clothseg.networks.onnx.exported_module import export_function
from clothseg.networks.onnx.graph import Value
from clothseg.networks.onnx.placement import GraphPlacement
from clothseg.networks.onnx.roi_align import box_levels, pool_in_graph

Outputs = tuple[Tensor, ...]


@dataclass(frozen=True)
class HeadParts:
    """What of the network torch exports.

    Attributes:
        network: with all weights.
        dense: FPN levels `[1, C, h, w]`, then the RPN's logits `[N]` of each, then its box deltas `[N, 4]` of each,
            from the input `[1, 3, H, W]`.
        box_head: logits `[P, K + 1]` and box deltas `[P, K + 1, 4]` from features `[P, C, 7, 7]`.
        mask_head: probabilities `[P, 28, 28]` from features `[P, C, 14, 14]` and classes `[P]`.
        transform: of the input.
        pooled_levels: from which boxes are pooled, as powers of two of their strides.
    """

    network: nn.Module
    dense: Callable[[Tensor], Outputs]
    box_head: Callable[[Tensor], Outputs]
    mask_head: Callable[[Tensor, Tensor], Outputs]
    transform: InputTransform
    pooled_levels: tuple[int, ...]


def two_stages_in_graph(
    pixels: Value, placement: GraphPlacement, parts: HeadParts, config: Config, conventions: Conventions
) -> GraphDetections:
    """The detections on the photo, best first."""
    settings, graph = config.network, pixels.graph
    assert isinstance(settings, MaskRCNNSettings)
    outputs, levels = include_dense(pixels, parts.network, parts.dense, parts.transform), settings.fpn.levels
    count = len(levels)
    features = outputs[:count]
    anchors = anchors_in_graph(
        settings.anchors, levels, [(f.side(2), f.side(3)) for f in features], placement.padded, conventions.anchors
    )
    anchors = network_anchors(anchors, placement, conventions)
    proposals = proposals_in_graph(
        outputs[count : 2 * count], outputs[2 * count :], anchors, placement, settings.rpn, conventions
    )
    unit, pooled_levels = canonical_size(settings.box_head.canonical_size, placement, conventions), parts.pooled_levels

    def pool(boxes: Value, size: int) -> Value:
        level = box_levels(boxes, pooled_levels, conventions.roi_align, unit)
        maps = features[: len(pooled_levels)]
        return pool_in_graph(maps, pooled_levels, boxes, level, size, conventions.roi_align)

    channels = settings.fpn.channels
    pool_size = settings.box_head.pool_size
    example = torch.zeros((3, channels, pool_size, pool_size))
    box_head = export_function(parts.network, parts.box_head, [example], [(0,)])
    logits, deltas = graph.include(box_head, [pool(proposals, pool_size)])
    found = detections_in_graph(proposals, logits, deltas, placement, config.inference, conventions)
    pool_size = settings.mask_head.pool_size
    examples = [torch.zeros((3, channels, pool_size, pool_size)), torch.ones(3, dtype=torch.int64)]
    mask_head = export_function(parts.network, parts.mask_head, examples, [(0,), (0,)])
    (masks,) = graph.include(mask_head, [pool(found.boxes, pool_size), found.classes])
    boxes, classes, scores, masks = (v.part(0, found.count) for v in (found.boxes, found.classes, found.scores, masks))
    detections = GraphDetections(boxes, classes, scores, masks, "boxes", conventions.paste)
    return rescored(detections, config.inference) if config.inference.mask_rescoring else detections
