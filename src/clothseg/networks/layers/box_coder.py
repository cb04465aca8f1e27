"""Boxes as deltas from reference boxes: what box heads learn. Source: Faster R-CNN, section 3.1.2."""

import torch
from torch import Tensor


def encode_boxes(boxes: Tensor, references: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Deltas `[N, 4]` (x, y, log width, log height) from `references` `[N, 4]` to `boxes` `[N, 4]`."""
    size = references[:, 2:] - references[:, :2]
    centre = references[:, :2] + 0.5 * size
    new_size = boxes[:, 2:] - boxes[:, :2]
    new_centre = boxes[:, :2] + 0.5 * new_size
    return torch.cat([(new_centre - centre) / size, torch.log(new_size / size)], dim=1) * boxes.new_tensor(weights)


def decode_boxes(deltas: Tensor, references: Tensor, weights: tuple[float, ...], clip: float) -> Tensor:
    """Boxes `[N, ..., 4]` from deltas `[N, ..., 4]` and their `references` `[N, 4]`; `clip` limits log sizes."""
    references = references.reshape(len(references), *[1] * (deltas.dim() - 2), 4)
    deltas = deltas / deltas.new_tensor(weights)
    size = references[..., 2:] - references[..., :2]
    centre = deltas[..., :2] * size + (references[..., :2] + 0.5 * size)
    half = 0.5 * (torch.exp(deltas[..., 2:].clamp(max=clip)) * size)
    return torch.cat([centre - half, centre + half], dim=-1)
