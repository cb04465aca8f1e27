"""Both stages of Mask R-CNN in an ONNX graph: torch exports what is dense, the rest is built here."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from clothseg.networks.mask_rcnn.export import (
    FoundBoxes,
    canonical_size,
    detections_in_graph,
    network_anchors,
    proposals_in_graph,
)
from clothseg.networks.mask_rcnn.heads import FINE
from clothseg.networks.onnx.dense import include_dense
from clothseg.networks.onnx.detections import GraphDetections, anchors_in_graph, rescored
from clothseg.networks.onnx.exported_module import export_function
from clothseg.networks.onnx.graph import Value
from clothseg.networks.onnx.placement import GraphPlacement
from clothseg.networks.onnx.roi_align import box_levels, pool_in_graph

if TYPE_CHECKING:
    from clothseg.networks.mask_rcnn.network import MaskRCNNNetwork


def two_stages_in_graph(network: "MaskRCNNNetwork", pixels: Value, placement: GraphPlacement) -> GraphDetections:
    """The detections on the photo, best first."""
    settings, conventions, inference = network.settings, network.conventions, network.config.inference
    levels, pooled_levels = settings.fpn.levels, network.pooled_levels
    count = len(levels)

    def dense(x: Tensor) -> tuple[Tensor, ...]:
        """Features `[1, C, h, w]`, then the RPN's logits `[N]` of each level, then its box deltas `[N, 4]` of each."""
        outputs = network.forward_dense(x)
        return *outputs[: -2 * count], *(maps[0] for maps in outputs[-2 * count :])

    outputs = include_dense(pixels, network, dense, network.transform)
    features = outputs[:count]
    anchors = anchors_in_graph(
        settings.anchors, levels, [(f.side(2), f.side(3)) for f in features], placement.padded, conventions.anchors
    )
    anchors = network_anchors(anchors, placement, conventions)
    proposals = proposals_in_graph(
        outputs[-2 * count : -count], outputs[-count:], anchors, placement, settings.rpn, conventions
    )
    unit = canonical_size(settings.box_head.canonical_size, placement, conventions)

    def pool(boxes: Value, size: int) -> Value:
        level = box_levels(boxes, pooled_levels, conventions.roi_align, unit)
        maps = features[: len(pooled_levels)]
        return pool_in_graph(maps, pooled_levels, boxes, level, size, conventions.roi_align)

    pool_size = settings.box_head.pool_size
    example = torch.zeros((3, settings.fpn.channels, pool_size, pool_size))
    box_head = export_function(network, network.box_head, [example], [(0,)])
    logits, deltas = pixels.graph.include(box_head, [pool(proposals, pool_size)])
    found = detections_in_graph(proposals, logits, deltas, placement, inference, conventions)
    masks = _masks_in_graph(network, found, pool, outputs[count : -2 * count])
    boxes, classes, scores, masks = (v.part(0, found.count) for v in (found.boxes, found.classes, found.scores, masks))
    detections = GraphDetections(boxes, classes, scores, masks, "boxes", conventions.paste)
    return rescored(detections, inference) if inference.mask_rescoring else detections


def _masks_in_graph(
    network: "MaskRCNNNetwork", found: FoundBoxes, pool: Callable[[Value, int], Value], fine: list[Value]
) -> Value:
    """Probabilities `[D + 1, M, M]` of the masks; `fine` are the features that refine them, or none."""
    head, refinement = network.settings.mask_head, network.settings.mask_refinement

    def masks(pooled: Tensor, classes: Tensor, *fine_pooled: Tensor) -> tuple[Tensor, ...]:
        logits = network.mask_head.forward_for_class(pooled, classes)
        return ((network.refinement(*fine_pooled, logits) if network.refinement else logits).sigmoid(),)

    channels = network.settings.fpn.channels
    examples = [torch.zeros((3, channels, head.pool_size, head.pool_size)), torch.ones(3, dtype=torch.int64)]
    inputs = [pool(found.boxes, head.pool_size), found.classes]
    if fine:
        examples.append(torch.zeros((3, refinement.channels, refinement.size, refinement.size)))
        level, conventions = found.classes * 0 + FINE, network.conventions.roi_align
        inputs.append(pool_in_graph(fine, [FINE], found.boxes, level, refinement.size, conventions))
    (answer,) = found.boxes.graph.include(export_function(network, masks, examples, [(0,)] * len(examples)), inputs)
    return answer
