"""Proposals and detections in an ONNX graph; the same arithmetic as `rpn.py` and `postprocess.py`.

Every vector of candidates gets one more that is never chosen: some operations cannot work on none.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clothseg.config import InferenceSettings, RpnSettings
from clothseg.networks.mask_rcnn.conventions import Conventions
from clothseg.networks.onnx.detections import NEVER, decode_in_graph, suppress
from clothseg.networks.onnx.graph import Value
from clothseg.networks.onnx.input import bounds_in_graph
from clothseg.networks.onnx.placement import GraphPlacement

LOWEST = -1e30
"""Below every logit."""


@dataclass(frozen=True)
class FoundBoxes:
    """Detections without masks, best first, and after them one box that is none.

    Attributes:
        boxes: `[D + 1, 4]` in network coordinates.
        classes: `[D + 1]` int64, 1..K.
        scores: `[D + 1]`.
        count: D.
    """

    boxes: Value
    classes: Value
    scores: Value
    count: Value


def network_anchors(anchors: Value, placement: GraphPlacement, conventions: Conventions) -> Value:
    """Anchors `[N, 4]` float64 in pixels of the input as float32 in network coordinates; see `to_network_coords`."""
    if not conventions.input.normalised_boxes:
        return anchors.to(np.float32)
    graph, (height, width) = anchors.graph, placement.padded
    scale = graph.vector([width - 1, height - 1, width - 1, height - 1]).to(np.float64)
    return ((anchors - graph.const([0, 0, 1, 1], np.float64)) / scale).to(np.float32)


def proposals_in_graph(
    scores: Sequence[Value],
    deltas: Sequence[Value],
    anchors: Value,
    placement: GraphPlacement,
    settings: RpnSettings,
    conventions: Conventions,
) -> Value:
    """The boxes for the heads, best first, `[P, 4]`, and after them one that does not count.

    Args:
        scores: for each level logits `[N]`.
        deltas: for each level `[N, 4]`.
        anchors: `[sum of N, 4]` float32, in network coordinates.
        placement: where the photo lies in the input.
        settings: of the RPN.
        conventions: the arithmetic to follow.
    """
    graph = anchors.graph
    if conventions.levels_together:
        scores, deltas = [graph.concat(scores)], [graph.concat(deltas)]
    boxes, best, levels, first = [], [], [], graph.const(0)
    bounds = bounds_in_graph(placement, conventions.input, padded=conventions.clip_to_padded)
    for position, (logits, delta) in enumerate(zip(scores, deltas, strict=True)):
        ordering = graph.op("Sigmoid", logits) if conventions.candidate_score == "probability" else logits
        top, index = graph.top(ordering, ordering.side(0).clip(high=settings.pre_nms_top_n_test))
        reference = anchors.take(index + first)
        box = decode_in_graph(delta.take(index), reference, conventions.rpn_box_weights, conventions.box_clip)
        boxes.append(clip_in_graph(box, bounds))
        best.append(top)
        levels.append(index * 0 + position)
        first = first + logits.side(0)
    box, score, level = graph.concat(boxes), graph.concat(best), graph.concat(levels)
    if conventions.proposal_score == "probability" and conventions.candidate_score == "logit":
        score = graph.op("Sigmoid", score)
    if conventions.rpn_min_side:
        score = graph.where(large(box, conventions.rpn_min_side), score, 2 * LOWEST)
    number = graph.arange(len(scores)).unsqueeze(1)
    by_level = graph.where(graph.op("Equal", level.unsqueeze(0), number), score.unsqueeze(0), 2 * LOWEST)
    rows = suppress(box.unsqueeze(0), by_level.unsqueeze(0), settings.nms_iou, LOWEST)
    kept = rows.at(2, 1)
    own = score.take(kept)
    most = settings.post_nms_top_n_test
    _, order = graph.top(own, own.side(0).clip(high=most))
    chosen = box.take(kept.take(order))
    missing = (graph.const(most) - chosen.side(0)) if conventions.pad_proposals else graph.const(0)
    return graph.op("Pad", chosen, graph.vector([0, 0, missing + 1, 0]))


def detections_in_graph(
    proposals: Value,
    logits: Value,
    deltas: Value,
    placement: GraphPlacement,
    inference: InferenceSettings,
    conventions: Conventions,
) -> FoundBoxes:
    """Detections from proposals `[P, 4]`, their logits `[P, K + 1]` and box deltas `[P, K + 1, 4]`.

    The last proposal does not count.
    """
    graph = proposals.graph
    boxes = decode_in_graph(deltas, proposals.unsqueeze(1), conventions.box_weights, conventions.box_clip)
    boxes = clip_in_graph(boxes, bounds_in_graph(placement, conventions.input, padded=False))
    scores = graph.op("Softmax", logits, axis=1)
    kinds, last = scores.side(1), scores.side(0) - 1
    scores = graph.where((graph.arange(scores.side(0)) < last).unsqueeze(1), scores, NEVER)
    if conventions.single_class:
        best = graph.op("ArgMax", logits, axis=1, keepdims=1)
        scores = graph.where(graph.op("Equal", graph.arange(kinds).unsqueeze(0), best), scores, NEVER)
    if conventions.min_side:
        scores = graph.where(large(boxes, conventions.min_side), scores, NEVER)
    boxes, scores = boxes.part(1, kinds, 1), scores.part(1, kinds, 1)
    least = np.float32(inference.score_threshold)
    above = float(np.nextafter(least, np.float32(-1))) if conventions.score_threshold_included else float(least)
    rows = suppress(boxes.transpose(1, 0, 2), scores.transpose(1, 0).unsqueeze(1), inference.nms_iou, above)
    place = rows.at(2, 1) * (kinds - 1) + rows.at(0, 1)
    _, order = graph.top(-place, place.side(0))  # of equal scores the earlier proposal is first
    place = place.take(order)
    score, order = graph.top(scores.reshape(-1).take(place), place.side(0).clip(high=inference.max_detections))
    place = place.take(order)
    count = place.side(0)
    place = graph.concat([place, last.reshape(1) * (kinds - 1)])
    classes = graph.op("Mod", place, kinds - 1) + 1
    scores = graph.concat([score, graph.const(np.array([NEVER], np.float32))])
    return FoundBoxes(boxes.reshape(-1, 4).take(place), classes, scores, count)


def clip_in_graph(boxes: Value, bounds: Value) -> Value:
    """Boxes `[..., 4]` within bounds `[4]`, x1 y1 x2 y2."""
    graph = boxes.graph
    low, high = (graph.concat([pair, pair]) for pair in (bounds.part(0, 2), bounds.part(2, 4)))
    return graph.op("Min", graph.op("Max", boxes, low), high)


def large(boxes: Value, least: float) -> Value:
    """Whether both sides of boxes `[..., 4]` are at least so long: `[...]` bool."""
    shorter = boxes.part(2, 4, -1) - boxes.part(0, 2, -1)
    graph = boxes.graph
    return graph.op("ReduceMin", shorter, graph.const([-1]), keepdims=0) >= least


def canonical_size(settings_size: float, placement: GraphPlacement, conventions: Conventions) -> Value:
    """The side, in network coordinates, of a box of the canonical level."""
    graph = placement.photo[0].graph
    if not conventions.input.normalised_boxes:
        return graph.const(settings_size, np.float32)
    height, width = (side.to(np.float64) for side in placement.padded)
    return (graph.const(settings_size, np.float64) / graph.op("Sqrt", height * width)).to(np.float32)
