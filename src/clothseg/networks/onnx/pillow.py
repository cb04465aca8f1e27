"""Pillow's antialiased bilinear resampling of bytes in the graph, to the last bit.

ONNX's own antialiased Resize rounds some values the other way, which moves the edges of masks. Source: Pillow's
`Resample.c`: columns first, weights as whole numbers of 22 bits, rounded to bytes after each axis.
"""

import numpy as np

from clothseg.networks.onnx.graph import Value
from clothseg.networks.onnx.placement import Sides

_ONE = 1 << 22
"""A weight of 1."""


def resample_as_pillow(photo: Value, old: Sides, new: Sides) -> Value:
    """`[h, w, 3]` uint8 of the size `new` from a photo `[H, W, 3]` uint8 of the size `old`."""
    return _along(_along(photo, old[1], new[1], axis=1), old[0], new[0], axis=0)


def _along(image: Value, old: Value, new: Value, axis: int) -> Value:
    """The image with another length of one axis; tap after tap, so that memory does not grow with their number."""
    graph = image.graph
    cells, weights = _taps(old, new)
    sides = [new if number == axis else image.side(number) for number in range(3)]
    start = graph.op("Expand", graph.const(_ONE // 2, np.int32), graph.vector(sides))

    def add(tap: Value, total: Value) -> Value:
        weight = weights.take(tap, axis=1).unsqueeze(*((1, 2) if axis == 0 else (1,)))
        return total + image.take(cells.take(tap, axis=1), axis).to(np.int32) * weight

    total = graph.repeat(cells.side(1), start, add)
    return (total / _ONE).clip(0, 255).to(np.uint8)


def _taps(old: Value, new: Value) -> tuple[Value, Value]:
    """The old pixels that each new one is a sum of, `[new, taps]` int64, and their weights, int32."""
    graph = old.graph
    scale = old.to(np.float64) / new.to(np.float64)
    support = scale.clip(1.0)
    centre = ((graph.arange(new, np.float64) + 0.5) * scale).unsqueeze(1)
    first = graph.op("Floor", centre - support + 0.5).clip(0.0)
    last = graph.op("Min", graph.op("Floor", centre + support + 0.5), old.to(np.float64))
    taps = graph.op("Ceil", support).to(np.int64) * 2 + 1
    cell = first + graph.arange(taps, np.float64)
    distance = graph.op("Abs", (cell - centre + 0.5) / support)
    weight = graph.where(cell < last, (-distance + 1.0).clip(0.0), 0.0)
    weight = weight / weight.sum(1, keepdims=True) * float(_ONE) + 0.5
    return cell.to(np.int64).clip(high=old - 1), graph.op("Floor", weight).to(np.int32)
