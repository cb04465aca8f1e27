"""Where a photo lies in the input, computed in the graph from the photo's size: the arithmetic of `networks/input.py`.

Sides are computed in float64, as Python computes them.
"""

from dataclasses import dataclass

import numpy as np

from clothseg.config import InputSettings
from clothseg.networks.input import InputTransform
from clothseg.networks.onnx.graph import Graph, Number, Value
from clothseg.networks.placement import InputConventions

Sides = tuple[Value, Value]
"""Height and width."""


@dataclass(frozen=True)
class GraphPlacement:
    """What `InputPlacement` says, as scalars of a graph.

    Attributes:
        photo, size, padded: height and width of the photo, the resized photo and the input; int64.
        corner: top and left of the resized photo in the input; int64.
    """

    photo: Sides
    size: Sides
    padded: Sides
    corner: Sides

    def region(self) -> Value:
        """Top, left, height and width of the photo in fractions of the input's sides: `[4]` float64."""
        graph = self.photo[0].graph
        parts = [
            part.to(np.float64) / whole.to(np.float64)
            for pair in (self.corner, self.size)
            for part, whole in zip(pair, self.padded, strict=True)
        ]
        return graph.concat([part.reshape(1) for part in parts])


def place_in_graph(photo: Value, transform: InputTransform) -> GraphPlacement:
    """Where a photo `[H, W, 3]` lies in the input that it has alone."""
    graph, settings, conventions = photo.graph, transform.settings, transform.conventions
    sides = photo.side(0), photo.side(1)
    size = _resized(graph, sides, settings, conventions)
    if settings.has_fixed_frame or settings.resize == "square":
        frame = (settings.height, settings.width) if settings.has_fixed_frame else (settings.max_side,) * 2
        at_least = (graph.const(frame[0]), graph.const(frame[1]))
    else:
        at_least = size
    divisor = conventions.size_divisor
    height, width = ((side.clip(32) + (divisor - 1)) / divisor * divisor for side in at_least)
    margins = height - size[0], width - size[1]
    zero = graph.const(0)
    corner = (margins[0] / 2, margins[1] / 2) if conventions.centred else (zero, zero)
    return GraphPlacement(sides, size, (height, width), corner)


def _resized(graph: Graph, photo: Sides, settings: InputSettings, conventions: InputConventions) -> Sides:
    """The size of the resized photo; see `resized_size`."""
    if settings.resize == "stretch":
        return graph.const(settings.height), graph.const(settings.width)
    height, width = exact = (photo[0].to(np.float64), photo[1].to(np.float64))
    short, long = graph.op("Min", *exact), graph.op("Max", *exact)
    rounding = conventions.size_rounding
    if settings.resize == "fit":
        scale = graph.op("Min", _over(settings.height, height), _over(settings.width, width))
    elif settings.resize == "square":
        scale = _over(settings.min_side, short).clip(1.0)
        too_long = graph.op("Round", long * scale) > settings.max_side
        scale = graph.where(too_long, _over(settings.max_side, long), scale)
    elif settings.resize == "none":
        scale = _over(settings.max_side, long).clip(high=1.0)
    elif rounding == "half_up":
        return _half_up_twice(exact, settings)
    else:
        scale = graph.op("Min", _over(settings.min_side, short), _over(settings.max_side, long))
    kind = "Round" if rounding == "half_even" else "Floor"
    if rounding == "half_up":
        exact = (height * scale + 0.5, width * scale + 0.5)
    else:
        exact = (height * scale, width * scale)
    rounded = [graph.op(kind, side).to(np.int64).clip(1) for side in exact]
    if settings.resize != "keep_ratio" or rounding != "long_down":
        return rounded[0], rounded[1]
    least, (in_height, in_width) = settings.min_side, photo
    whole = graph.op("Max", *photo) * least / graph.op("Min", *photo)
    fits, upright = whole <= settings.max_side, in_height < in_width
    exactly = (graph.where(upright, graph.const(least), whole), graph.where(upright, whole, graph.const(least)))
    return graph.where(fits, exactly[0], rounded[0]), graph.where(fits, exactly[1], rounded[1])


def _half_up_twice(exact: Sides, settings: InputSettings) -> Sides:
    """Both sides by the short one's scale; if the long one is too long then, both sides again."""
    height, width = exact
    graph, least = height.graph, float(settings.min_side)
    short, upright = _over(settings.min_side, graph.op("Min", height, width)), height < width
    by_short = (
        graph.where(upright, graph.const(least, np.float64), height * short),
        graph.where(upright, width * short, graph.const(least, np.float64)),
    )
    longest = graph.op("Max", *by_short)
    again = graph.where(longest > settings.max_side, _over(settings.max_side, longest), graph.const(1.0, np.float64))
    sides = [(graph.op("Floor", side * again + 0.5)).to(np.int64).clip(1) for side in by_short]
    return sides[0], sides[1]


def _over(number: Number, value: Value) -> Value:
    return value.graph.const(number, value.dtype) / value
