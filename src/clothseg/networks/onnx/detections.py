"""Steps between a network's maps and its detections, in the graph: anchors, box deltas, NMS, rescoring."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from clothseg.config import AnchorSettings, InferenceSettings
from clothseg.instances import PasteRule
from clothseg.networks.layers.anchors import AnchorConventions, cell_anchors
from clothseg.networks.onnx.graph import Graph, Value
from clothseg.networks.onnx.placement import Sides

NEVER = -1.0
"""The score of what cannot become a detection."""


@dataclass(frozen=True)
class GraphDetections:
    """Detections as values of a graph, best first.

    Attributes:
        boxes: `[D, 4]` float32, in network coordinates.
        classes: `[D]` int64, 1..K.
        scores: `[D]` float32.
        masks: `[D, h, w]` float32, probabilities.
        form: the masks are small maps in `boxes`, or `maps` over the whole input.
        rule: how small maps in boxes become pixels.
    """

    boxes: Value
    classes: Value
    scores: Value
    masks: Value
    form: Literal["boxes", "maps"]
    rule: PasteRule = "torchvision"

    def select(self, positions: Value) -> "GraphDetections":
        """Those at positions `[E]` int64."""
        boxes, classes, scores, masks = (v.take(positions) for v in (self.boxes, self.classes, self.scores, self.masks))
        return replace(self, boxes=boxes, classes=classes, scores=scores, masks=masks)


@dataclass(frozen=True)
class GraphPixels:
    """Maps of the resized photo as values of a graph; what runs the graph groups their pixels to instances.

    Attributes:
        form: how, a name in `clothseg.exported`.
        maps: the outputs by name, with the lengths or names of their sides.
        options: of the grouping.
    """

    form: str
    maps: Mapping[str, tuple[Value, Sequence[int | str]]]
    options: Mapping[str, Any]


def anchors_in_graph(
    settings: AnchorSettings,
    levels: Sequence[int],
    sizes: Sequence[Sides],
    padded: Sides,
    conventions: AnchorConventions,
) -> Value:
    """Anchors `[N, 4]` float64 of all levels, in pixels of the input; see `make_anchors`."""
    graph, parts = padded[0].graph, []
    for level, cells, scales in zip(levels, sizes, settings.scales, strict=True):
        shapes = graph.const(cell_anchors(scales, settings.ratios, conventions).numpy(), np.float64)
        places = []
        for side, count in zip(padded, cells, strict=True):
            number = graph.arange(count, np.float64)
            if conventions.step == "centred":
                step = side.to(np.float64) / count.to(np.float64)
                places.append(number * step + step / 2)
            elif conventions.step == "fitted":
                places.append(number * (side / count).to(np.float64))
            else:
                places.append(number * float(2**level))
        rows = places[0].reshape(-1, 1, 1, 1) * graph.const([0, 1, 0, 1], np.float64)
        columns = places[1].reshape(1, -1, 1, 1) * graph.const([1, 0, 1, 0], np.float64)
        parts.append((rows + columns + shapes).reshape(-1, 4))
    return graph.concat(parts)


def decode_in_graph(deltas: Value, references: Value, weights: tuple[float, ...], clip: float) -> Value:
    """Boxes `[N, ..., 4]` from deltas and `references` of a shape that fits; see `decode_boxes`."""
    graph, last = deltas.graph, -1
    scaled = deltas if set(weights) == {1.0} else deltas / graph.const(np.array(weights, np.float32))
    of_centre, of_size = scaled.part(0, 2, last), scaled.part(2, 4, last)
    low, high = references.part(0, 2, last), references.part(2, 4, last)
    size = high - low
    if np.isfinite(clip):
        of_size = of_size.clip(high=clip)
    centre = of_centre * size + (low + size * 0.5)
    half = graph.op("Exp", of_size) * size * 0.5
    return graph.concat([centre - half, centre + half], axis=last)


def suppress(boxes: Value, scores: Value, iou: float, above: float) -> Value:
    """Greedy NMS: rows `[M, 3]` int64 of batch, class and box, each class best first.

    Args:
        boxes: `[B, N, 4]`.
        scores: `[B, C, N]`; those of `above` or less take no part.
        iou: above which the worse box of a pair is dropped.
        above: see `scores`.
    """
    graph = boxes.graph
    every = boxes.side(1).reshape(1)
    limits = (graph.const([iou], np.float32), graph.const([above], np.float32))
    return graph.op("NonMaxSuppression", boxes, scores, every, *limits, dtype=np.int64)


def no_more_than(graph: Graph, count: int, values: Value) -> Value:
    """The smaller of `count` and the length of a vector, an int64 scalar."""
    return values.side(0).clip(high=count)


def rescored(found: GraphDetections, settings: InferenceSettings) -> GraphDetections:
    """Detections by scores that count the masks' certainty, best first; see `rescored_order`."""
    graph = found.boxes.graph
    own = (found.masks >= settings.mask_threshold).to(np.float32)
    pixels = own.sum(1, 2).clip(1.0)
    scores = found.scores * ((found.masks * own).sum(1, 2) / pixels)
    scores, order = graph.top(scores, scores.side(0))
    return replace(found.select(order), scores=scores).select(graph.positions(scores >= settings.score_threshold))
