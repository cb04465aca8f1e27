"""Boxes as deltas from reference boxes: what box heads learn. Source: Faster R-CNN, section 3.1.2."""

from collections.abc import Callable
from operator import mul, truediv

import torch
from torch import Tensor


def encode_boxes(boxes: Tensor, references: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Deltas `[N, 4]` (x, y, log width, log height) from `references` `[N, 4]` to `boxes` `[N, 4]`."""
    size = references[:, 2:] - references[:, :2]
    centre = references[:, :2] + 0.5 * size
    new_size = boxes[:, 2:] - boxes[:, :2]
    new_centre = boxes[:, :2] + 0.5 * new_size
    of_centre = _by_axis(mul, (new_centre - centre) / size, weights[:2])
    return torch.cat([of_centre, _by_axis(mul, torch.log(new_size / size), weights[2:])], dim=1)


def decode_boxes(deltas: Tensor, references: Tensor, weights: tuple[float, ...], clip: float) -> Tensor:
    """Boxes `[N, ..., 4]` from deltas `[N, ..., 4]` and their `references` `[N, 4]`; `clip` limits log sizes."""
    references = references.reshape(len(references), *[1] * (deltas.dim() - 2), 4)
    of_centre, of_size = (
        _by_axis(truediv, part, pair)
        for part, pair in ((deltas[..., :2], weights[:2]), (deltas[..., 2:], weights[2:]))
    )  # fmt: skip
    size = references[..., 2:] - references[..., :2]
    centre = of_centre * size + (references[..., :2] + 0.5 * size)
    half = 0.5 * (torch.exp(of_size.clamp(max=clip)) * size)
    return torch.cat([centre - half, centre + half], dim=-1)


def _by_axis(operation: Callable[[Tensor, float], Tensor], values: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Multiplies or divides the columns `[..., 2]` by two numbers, without a tensor of them, which would be copied."""
    if weights[0] == weights[1]:
        return values if weights[0] == 1 else operation(values, weights[0])
    return torch.stack([operation(values[..., axis], weight) for axis, weight in enumerate(weights)], dim=-1)
