"""Both stages of Mask R-CNN in an ONNX graph: torch exports what is dense, the rest is built here."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from clothseg.config import InferenceSettings, MaskRCNNSettings
from clothseg.networks.input import InputTransform
from clothseg.networks.mask_rcnn.conventions import Conventions
from clothseg.networks.mask_rcnn.export import (
    FoundBoxes,
    canonical_size,
    detections_in_graph,
    network_anchors,
    proposals_in_graph,
)
from clothseg.networks.mask_rcnn.heads import FINE, BoxHead, MaskHead, MaskRefinement
from clothseg.networks.onnx.dense import include_dense
from clothseg.networks.onnx.detections import GraphDetections, anchors_in_graph, rescored
from clothseg.networks.onnx.exported_module import export_function
from clothseg.networks.onnx.graph import Value
from clothseg.networks.onnx.placement import GraphPlacement
from clothseg.networks.onnx.roi_align import box_levels, pool_in_graph


@dataclass(frozen=True)
class NetworkParts:
    """Mask R-CNN, as this file needs it.

    Attributes:
        network: with all weights.
        forward_dense: features of each FPN level, the features that refine masks if there are any, the RPN's logits of
            each level, then its box deltas of each level, from the input `[B, 3, H, W]`.
        heads: of boxes, of masks, and of refined masks if there is one.
        transform: of the input.
        pooled_levels: from which boxes are pooled, as powers of two of their strides.
        settings: of the network.
        inference: settings of inference.
        conventions: the arithmetic to follow.
    """

    network: nn.Module
    forward_dense: Callable[[Tensor], list[Tensor]]
    heads: tuple[BoxHead, MaskHead, MaskRefinement | None]
    transform: InputTransform
    pooled_levels: tuple[int, ...]
    settings: MaskRCNNSettings
    inference: InferenceSettings
    conventions: Conventions


def two_stages_in_graph(pixels: Value, placement: GraphPlacement, parts: NetworkParts) -> GraphDetections:
    """The detections on the photo, best first."""
    settings, conventions, inference = parts.settings, parts.conventions, parts.inference
    levels, pooled_levels, box_head = settings.fpn.levels, parts.pooled_levels, parts.heads[0]
    count = len(levels)

    def dense(x: Tensor) -> tuple[Tensor, ...]:
        """Features `[1, C, h, w]`, then the RPN's logits `[N]` of each level, then its box deltas `[N, 4]` of each."""
        outputs = parts.forward_dense(x)
        return *outputs[: -2 * count], *(maps[0] for maps in outputs[-2 * count :])

    outputs = include_dense(pixels, parts.network, dense, parts.transform)
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
    exported = export_function(parts.network, box_head, [example], [(0,)])
    logits, deltas = pixels.graph.include(exported, [pool(proposals, pool_size)])
    found = detections_in_graph(proposals, logits, deltas, placement, inference, conventions)
    masks = _masks_in_graph(parts, found, pool, outputs[count : -2 * count])
    boxes, classes, scores, masks = (v.part(0, found.count) for v in (found.boxes, found.classes, found.scores, masks))
    detections = GraphDetections(boxes, classes, scores, masks, "boxes", conventions.paste)
    return rescored(detections, inference) if inference.mask_rescoring else detections


def _masks_in_graph(
    parts: NetworkParts, found: FoundBoxes, pool: Callable[[Value, int], Value], fine: list[Value]
) -> Value:
    """Probabilities `[D + 1, M, M]` of the masks; `fine` are the features that refine them, or none."""
    head, refinement = parts.settings.mask_head, parts.settings.mask_refinement
    _, mask_head, refine = parts.heads

    def masks(pooled: Tensor, classes: Tensor, *fine_pooled: Tensor) -> tuple[Tensor, ...]:
        logits = mask_head.forward_for_class(pooled, classes)
        return ((refine(*fine_pooled, logits) if refine else logits).sigmoid(),)

    channels = parts.settings.fpn.channels
    examples = [torch.zeros((3, channels, head.pool_size, head.pool_size)), torch.ones(3, dtype=torch.int64)]
    inputs = [pool(found.boxes, head.pool_size), found.classes]
    if fine:
        examples.append(torch.zeros((3, refinement.channels, refinement.size, refinement.size)))
        level, conventions = found.classes * 0 + FINE, parts.conventions.roi_align
        inputs.append(pool_in_graph(fine, [FINE], found.boxes, level, refinement.size, conventions))
    (answer,) = found.boxes.graph.include(
        export_function(parts.network, masks, examples, [(0,)] * len(examples)), inputs
    )
    return answer
