"""From class logits to the maps that an exported network gives; the rest is `clothseg.exported`."""

from collections.abc import Sequence

import numpy as np

from clothseg.config import DeepLabSettings
from clothseg.networks.onnx.detections import GraphPixels
from clothseg.networks.onnx.graph import Value
from clothseg.networks.onnx.placement import GraphPlacement

NO_PEAK = -1.0
"""The value of `peaks` where there is none."""
GRID = ("rows", "columns")


def pixels_in_graph(maps: Sequence[Value], placement: GraphPlacement, settings: DeepLabSettings) -> GraphPixels:
    """What each pixel of the resized photo is.

    Args:
        maps: of the whole input: log probabilities `[K + 1, H, W]`; and, if the network has an instance head, heat
            `[1, H, W]` and offsets `[2, H, W]`, y and x, in pixels.
        placement: where the photo lies in it.
        settings: of the network.
    """
    logs, *others = (_of_photo(m, placement) for m in maps)
    graph = logs.graph
    if not others:
        labels = graph.op("ArgMax", logs, axis=0, keepdims=0).to(np.int32)
        values = {"labels": (labels, GRID), "probabilities": (graph.op("Exp", logs.max(0)), GRID)}
        components = settings.components
        options = {"min_area": components.min_area, "connectivity": components.connectivity}
        return GraphPixels("components", values, options)
    centers, (heat, offsets) = settings.centers, others
    side, margin = centers.nms_kernel, centers.nms_kernel // 2
    kept = graph.where(heat > centers.threshold, heat, NO_PEAK)
    highest = graph.op("MaxPool", kept.unsqueeze(0), kernel_shape=[side, side], pads=[margin] * 4).at(0)
    peaks = graph.where(graph.op("Equal", kept, highest), kept, NO_PEAK).at(0)
    maps_of_centers = {
        "log_probabilities": (logs, ("kinds", *GRID)),
        "heat": (heat.at(0), GRID),
        "peaks": (peaks, GRID),
        "offsets": (offsets, (2, *GRID)),
    }
    return GraphPixels("centers", maps_of_centers, {"min_area": centers.min_area, "top_k": centers.top_k})


def _of_photo(maps: Value, placement: GraphPlacement) -> Value:
    """The part of maps `[C, H, W]` that the photo has."""
    for axis, (start, side) in enumerate(zip(placement.corner, placement.size, strict=True), start=1):
        maps = maps.part(start, start + side, axis)
    return maps
