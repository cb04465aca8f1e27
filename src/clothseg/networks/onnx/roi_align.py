"""Features of boxes from the FPN level that suits their size, in the graph; see `networks/layers/roi_align.py`.

ONNX's RoiAlign always gets its sampling ratio and its coordinate mode: their defaults are not torchvision's.
"""

import math
from collections.abc import Sequence

import numpy as np

from clothseg.networks.layers.roi_align import RoiAlignConventions
from clothseg.networks.onnx.graph import Value


def box_levels(boxes: Value, levels: Sequence[int], conventions: RoiAlignConventions, canonical_size: Value) -> Value:
    """The level `[P]` int64, as the power of two of its stride, from which each of `boxes` `[P, 4]` is pooled."""
    graph = boxes.graph
    sides = boxes.part(2, 4, 1) - boxes.part(0, 2, 1)
    side = graph.op("Sqrt", sides.at(0, 1) * sides.at(1, 1)) / canonical_size
    if conventions.side_eps:
        side = side + conventions.side_eps
    level = graph.op("Log", side.to(np.float64)) / math.log(2) + (conventions.canonical_level + conventions.level_eps)
    rounded = graph.op("Round" if conventions.level_rounding == "half_even" else "Floor", level.to(np.float32))
    return rounded.clip(float(levels[0]), float(levels[-1])).to(np.int64)


def pool_in_graph(
    features: Sequence[Value],
    levels: Sequence[int],
    boxes: Value,
    level_of: Value,
    size: int,
    conventions: RoiAlignConventions,
) -> Value:
    """Features `[P, C, size, size]` of boxes.

    Args:
        features: FPN levels `[1, C, h, w]`, finest first.
        levels: the level of each, as the power of two of its stride.
        boxes: `[P, 4]` in network coordinates.
        level_of: `[P]` int64, as `box_levels` gives it.
        size: cells along a side of the answer.
        conventions: of sampling.
    """
    graph = boxes.graph
    places, parts = [], []
    for feature, level in zip(features, levels, strict=True):
        here = graph.positions(graph.op("Equal", level_of, level))
        places.append(here)
        # One more box, which is cut afterwards: a level without boxes would be empty.
        some = graph.concat([boxes.take(here), graph.const(np.array([[0, 0, 1, 1]], np.float32))])
        if conventions.method == "crop_and_resize":
            pooled = _crop_and_resize(feature, some, size)
        else:
            pooled = _align(feature, some, level, size, conventions)
        parts.append(pooled.part(0, here.side(0)))
    place = graph.concat(places)
    _, order = graph.top(-place, place.side(0))
    return graph.concat(parts).take(order)


def _align(feature: Value, boxes: Value, level: int, size: int, conventions: RoiAlignConventions) -> Value:
    graph = feature.graph
    photo = boxes.at(0, 1).to(np.int64) * 0
    return graph.op(
        "RoiAlign",
        feature,
        boxes,
        photo,
        mode="avg",
        output_height=size,
        output_width=size,
        sampling_ratio=conventions.sampling_ratio,
        spatial_scale=2.0**-level,
        coordinate_transformation_mode="half_pixel" if conventions.aligned else "output_half_pixel",
    )


def _crop_and_resize(feature: Value, boxes: Value, size: int) -> Value:
    """One bilinear sample a cell, from normalised boxes; see `crop_and_resize`."""
    graph, channels = feature.graph, feature.side(1)
    height, width = feature.side(2), feature.side(3)
    rows = feature.at(0).transpose(1, 2, 0).reshape(height * width, channels)
    (top, bottom, down, on_rows), (left, right, across, on_columns) = (
        _corners(boxes.at(axis, 1), boxes.at(axis + 2, 1), side, size) for axis, side in ((1, height), (0, width))
    )
    lines: list[Value] = []
    for row in (top, bottom):
        start = (row * width).unsqueeze(2)
        near, far = (rows.take(start + column.unsqueeze(1)) for column in (left, right))
        lines.append(near + (far - near) * across.unsqueeze(1, 3))
    inside = (on_rows.unsqueeze(2) & on_columns.unsqueeze(1)).to(np.float32).unsqueeze(3)
    pooled = (lines[0] + (lines[1] - lines[0]) * down.unsqueeze(2, 3)) * inside
    return graph.op("Transpose", pooled, perm=[0, 3, 1, 2])


def _corners(first: Value, last: Value, side: Value, size: int) -> tuple[Value, Value, Value, Value]:
    """The two cells `[P, size]` around each sample along an axis, how far it is between them, and if it is on the map.

    The order of these roundings is that of `crop_and_resize`.
    """
    graph, extent = first.graph, (side - 1).to(np.float32)
    step = (last - first) * extent / (size - 1)
    place = (first * extent).unsqueeze(1) + graph.arange(size, np.float32) * step.unsqueeze(1)
    inside = (place >= 0.0) & (place <= extent)
    low, high = graph.op("Floor", place), graph.op("Ceil", place)
    cells = [cell.clip(0.0, extent).to(np.int64) for cell in (low, high)]
    return cells[0], cells[1], place - low, inside
