"""From the head's outputs to detections in an ONNX graph; the same arithmetic as `detection.py` and `masks.py`."""

from dataclasses import dataclass

import numpy as np

from clothseg.config import InferenceSettings, SelectionSettings
from clothseg.networks.onnx.detections import NEVER, GraphDetections, decode_in_graph, rescored, suppress
from clothseg.networks.onnx.graph import Value
from clothseg.networks.onnx.placement import GraphPlacement
from clothseg.networks.yolact.conventions import Conventions


@dataclass(frozen=True)
class AnchorValues:
    """What the head says of each anchor, as values of a graph.

    Attributes:
        prototypes: `[count, h, w]`.
        scores: `[N, K]`, without background.
        deltas: `[N, 4]`.
        coefficients: `[N, count]`, after their tanh.
        anchors: `[N, 4]` float32, in pixels of the input.
    """

    prototypes: Value
    scores: Value
    deltas: Value
    coefficients: Value
    anchors: Value


def detections_in_graph(
    outputs: AnchorValues,
    placement: GraphPlacement,
    classes: int,
    settings: SelectionSettings,
    inference: InferenceSettings,
    conventions: Conventions,
) -> GraphDetections:
    """The detections on the photo, best first."""
    graph, best = outputs.scores.graph, outputs.scores.max(1)
    valid = (best > settings.candidate_threshold) & (best >= inference.score_threshold)
    here = graph.positions(valid)
    deltas, anchors, coefficients, scores = (
        values.take(here) for values in (outputs.deltas, outputs.anchors, outputs.coefficients, outputs.scores)
    )
    boxes = decode_in_graph(deltas, anchors, conventions.box_weights, conventions.box_clip)
    # One more candidate, which is never chosen: some operations cannot work on none.
    boxes = graph.concat([boxes, graph.const(np.array([[0, 0, 1, 1]], np.float32))])
    scores = graph.concat([scores, graph.const(np.full((1, classes), NEVER, np.float32))])
    scores = graph.where(scores >= inference.score_threshold, scores, NEVER)
    select = {"fast": _fast, "cross_class": _cross_class, "traditional": _greedy}[settings.nms]
    chosen, labels, scores = select(boxes, scores, settings, inference)
    boxes = boxes.take(chosen)
    masks = _assemble(outputs.prototypes, coefficients.take(chosen), boxes, placement, conventions.crop_margin)
    found = GraphDetections(boxes, labels + 1, scores, masks, "maps")
    return rescored(found, inference) if inference.mask_rescoring else found


Chosen = tuple[Value, Value, Value]
"""Of each detection, best first: the candidate, its class from 0, its score."""


def _fast(boxes: Value, scores: Value, settings: SelectionSettings, inference: InferenceSettings) -> Chosen:
    """See `select`; the groups are the classes."""
    graph = boxes.graph
    top, place = graph.top(scores.transpose(1, 0), scores.side(0).clip(high=settings.pre_nms_top_n))
    best, rank = _ranked(boxes, top, place, inference)
    return place.reshape(-1).take(rank), rank / place.side(1), best


def _cross_class(boxes: Value, scores: Value, settings: SelectionSettings, inference: InferenceSettings) -> Chosen:
    """See `select`; all classes are one group."""
    graph = boxes.graph
    highest, label = scores.max(1), graph.op("ArgMax", scores, axis=1, keepdims=0)
    top, place = graph.top(highest, scores.side(0).clip(high=settings.pre_nms_top_n))
    best, rank = _ranked(boxes, top.unsqueeze(0), place.unsqueeze(0), inference)
    chosen = place.take(rank)
    return chosen, label.take(chosen), best


def _ranked(boxes: Value, top: Value, place: Value, inference: InferenceSettings) -> tuple[Value, Value]:
    """Fast NMS in groups: scores of what it keeps, best first, and their positions among all `[G * T]`.

    Args:
        boxes: `[N, 4]`.
        top: scores `[G, T]`, highest first in each group.
        place: `[G, T]`, their boxes.
        inference: thresholds and limit.
    """
    graph = boxes.graph
    overlap = _pairwise_iou(boxes.take(place))
    number = graph.arange(place.side(1))
    better = number.unsqueeze(1) < number.unsqueeze(0)
    too_much = (~(overlap <= inference.nms_iou) & better).to(np.float32).max(1) > 0.0
    kept = ~too_much & (top > NEVER)
    scores = graph.where(kept, top, NEVER).reshape(-1)
    best, rank = graph.top(scores, scores.side(0).clip(high=inference.max_detections))
    count = (best > NEVER).to(np.int64).sum(0)
    return best.part(0, count), rank.part(0, count)


def _pairwise_iou(boxes: Value) -> Value:
    """IoU `[G, T, T]` of boxes `[G, T, 4]` with each other."""
    graph, (low, high) = boxes.graph, (boxes.part(0, 2, 2), boxes.part(2, 4, 2))
    inside = graph.op("Min", high.unsqueeze(2), high.unsqueeze(1)) - graph.op("Max", low.unsqueeze(2), low.unsqueeze(1))
    inside = inside.clip(0.0)
    inside, sides = inside.at(0, 3) * inside.at(1, 3), high - low
    area = sides.at(0, 2) * sides.at(1, 2)
    return inside / (area.unsqueeze(2) + area.unsqueeze(1) - inside)


def _greedy(boxes: Value, scores: Value, settings: SelectionSettings, inference: InferenceSettings) -> Chosen:
    """See `select`; NMS class by class."""
    graph = boxes.graph
    scores = graph.where(scores > settings.candidate_threshold, scores, NEVER)
    wider = boxes + graph.const(np.array([0, 0, 1, 1], np.float32))
    below = float(np.nextafter(np.float32(inference.nms_iou), np.float32(-1)))
    rows = suppress(wider.unsqueeze(0), scores.transpose(1, 0).unsqueeze(0), below, NEVER)
    labels, candidates = rows.at(1, 1), rows.at(2, 1)
    own = scores.reshape(-1).take(candidates * scores.side(1) + labels)
    best, order = graph.top(own, own.side(0).clip(high=inference.max_detections))
    return candidates.take(order), labels.take(order), best


def _assemble(prototypes: Value, coefficients: Value, boxes: Value, placement: GraphPlacement, margin: float) -> Value:
    """Probabilities `[D, h, w]`, 0 outside the boxes; see `assemble_masks`."""
    graph, count = prototypes.graph, prototypes.side(0)
    size = prototypes.side(1), prototypes.side(2)
    logits = graph.op("MatMul", coefficients, prototypes.reshape(count, -1)).reshape(-1, *size)
    masks = graph.op("Sigmoid", logits)
    for axis, (cells, pixels) in enumerate(zip(size, placement.padded, strict=True)):
        scale = (cells.to(np.float64) / pixels.to(np.float64)).to(np.float32)
        edges = boxes.at(1 - axis, 1) * scale, boxes.at(3 - axis, 1) * scale
        low = (graph.op("Min", *edges) - margin).clip(0.0).unsqueeze(1)
        high = (graph.op("Max", *edges) + margin).unsqueeze(1)
        number = graph.arange(cells, np.float32)
        window = ((number >= low) & (number < high)).to(np.float32)
        masks = masks * window.unsqueeze(2 - axis)
    return masks
