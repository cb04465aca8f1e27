"""The network's input in the graph, from a photo of bytes, and boxes on their way back to the photo.

The same arithmetic as `networks/input.py`, up to the last digits.
"""

import numpy as np

from clothseg.networks.onnx.graph import Value
from clothseg.networks.onnx.pillow import resample_as_pillow
from clothseg.networks.onnx.placement import GraphPlacement
from clothseg.networks.placement import InputConventions


def input_in_graph(photo: Value, placement: GraphPlacement, conventions: InputConventions) -> Value:
    """The network's input `[1, 3, H, W]` float32 from a photo `[H, W, 3]` uint8."""
    graph = photo.graph
    if conventions.resampling == "bilinear":
        resized = _bilinear(photo, placement)
    elif conventions.resampling == "pillow":
        resized = resample_as_pillow(photo, placement.photo, placement.size).to(np.float32)
    else:
        resized = graph.op("Floor", _zero_padded(photo, placement)).to(np.float32)
    if conventions.channels == "bgr":
        resized = resized.take(graph.const([2, 1, 0]), axis=2)
    mean, std = (graph.const(np.array(of, np.float32)) for of in (conventions.mean, conventions.std))
    normalised = (resized * (conventions.pixel_scale / 255) - mean) / std
    return _padded(normalised, placement, conventions).transpose(2, 0, 1).unsqueeze(0)


def _bilinear(photo: Value, placement: GraphPlacement) -> Value:
    """`[h, w, 3]` float32 in 0..255: half-pixel centres, edges repeat. Reads only the rows and columns that it needs.

    The places are computed in float32, as `torch.nn.functional.interpolate` computes them.
    """
    answer = photo
    for axis, (old, new) in enumerate(zip(placement.photo, placement.size, strict=True)):
        scale = old.to(np.float32) / new.to(np.float32)
        place = ((photo.graph.arange(new, np.float32) + 0.5) * scale - 0.5).clip(0.0)
        before = photo.graph.op("Floor", place)
        share = (place - before).unsqueeze(1, 2) if axis == 0 else (place - before).unsqueeze(1)
        first = before.to(np.int64)
        last = old - 1
        low, high = (answer.take(p.clip(high=last), axis).to(np.float32) for p in (first, first + 1))
        answer = low + (high - low) * share
    return answer


def _zero_padded(photo: Value, placement: GraphPlacement) -> Value:
    """`[h, w, 3]` float64: bilinear with zeros beyond the edges; see `resize_zero_padded`."""
    graph = photo.graph
    taps = []
    for old, new in zip(placement.photo, placement.size, strict=True):
        place = (graph.arange(new, np.float64) + 0.5) * (old.to(np.float64) / new.to(np.float64)) - 0.5
        before = graph.op("Floor", place)
        first, share = before.to(np.int64), place - before
        pairs = []
        for cell, weight in ((first, graph.const(1.0, np.float64) - share), (first + 1, share)):
            inside = (cell >= 0) & (cell < old)
            pairs.append((cell.clip(0, old - 1), graph.where(inside, weight, 0.0)))
        taps.append(pairs)
    answer: Value | None = None
    for rows, down in taps[0]:
        lines = photo.take(rows).to(np.float64) * down.unsqueeze(1, 2)
        for columns, across in taps[1]:
            part = lines.take(columns, axis=1) * across.unsqueeze(1)
            answer = part if answer is None else answer + part
    assert answer is not None
    return answer


def _padded(image: Value, placement: GraphPlacement, conventions: InputConventions) -> Value:
    """A normalised photo `[h, w, 3]` at its place in the input `[H, W, 3]`."""
    graph = image.graph
    after = [
        whole - start - side
        for whole, start, side in zip(placement.padded, placement.corner, placement.size, strict=True)
    ]
    around = graph.vector([*placement.corner, 0, *after, 0])
    if not conventions.black_padding:
        return graph.op("Pad", image, around)
    black = graph.const([-m / s for m, s in zip(conventions.mean, conventions.std, strict=True)])
    return graph.op("Pad", image - black, around) + black


def bounds_in_graph(placement: GraphPlacement, conventions: InputConventions, *, padded: bool) -> Value:
    """x1 y1 x2 y2 in network coordinates `[4]` float32 of the photo, or of the whole input; see `placement_bounds`."""
    graph, zero = placement.photo[0].graph, placement.photo[0].graph.const(0)
    top, left = (zero, zero) if padded else placement.corner
    height, width = placement.padded if padded else placement.size
    edges = graph.vector([left, top, left + width, top + height])
    if not conventions.normalised_boxes:
        return edges.to(np.float32)
    whole = graph.vector([side for _ in range(2) for side in (placement.padded[1] - 1, placement.padded[0] - 1)])
    return ((edges - graph.const([0, 0, 1, 1])).to(np.float64) / whole.to(np.float64)).to(np.float32)


def boxes_on_photo(boxes: Value, placement: GraphPlacement, conventions: InputConventions) -> Value:
    """Boxes `[D, 4]` from network coordinates to pixels of the photo, clipped to it: float32."""
    graph, (high, wide) = boxes.graph, placement.photo
    if conventions.normalised_boxes:
        edges = bounds_in_graph(placement, conventions, padded=False).to(np.float64)
        corner, far = edges.part(0, 2), edges.part(2, 4)
        twice = [graph.concat([pair, pair]) for pair in (corner, far - corner)]
        scale = graph.vector([wide - 1, high - 1, wide - 1, high - 1]).to(np.float64)
        placed = (boxes.to(np.float64) - twice[0]) / twice[1] * scale + graph.const([0, 0, 1, 1], np.float64)
    else:
        (top, left), factors = placement.corner, []
        for new, old in zip(placement.photo, placement.size, strict=True):
            factors.append((new.to(np.float64) / old.to(np.float64)).to(np.float32).reshape(1))
        shifted = boxes - graph.vector([left, top, left, top]).to(np.float32) if conventions.centred else boxes
        placed = shifted * graph.concat([factors[1], factors[0], factors[1], factors[0]])
    if conventions.whole_boxes == "round":
        placed = graph.op("Round", placed)
    elif conventions.whole_boxes == "cut":
        placed = graph.op("Floor", graph.op("Abs", placed)) * graph.op("Sign", placed)
    limits = graph.vector([wide, high, wide, high]).to(np.float32)
    return graph.op("Min", graph.op("Max", placed.to(np.float32), 0.0), limits)
