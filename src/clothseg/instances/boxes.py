"""Boxes: `[N, 4]` float, x1 y1 x2 y2 in pixels, x2 and y2 being outer edges (width = x2 - x1).

IoU, areas and NMS are `torchvision.ops`; here is what it lacks.
"""

import torch
from torch import Tensor


def to_xywh(boxes: Tensor) -> Tensor:
    """COCO's form, x y width height, of `boxes` `[N, 4]`."""
    return torch.cat([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], dim=1)


def from_xywh(boxes: Tensor) -> Tensor:
    """`[N, 4]` x1 y1 x2 y2 from COCO's x y width height."""
    return torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], dim=1)


def clip_boxes(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """`boxes` `[..., 4]` cut off at the edges of a picture of `size` (height, width)."""
    height, width = size
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torch.stack([x1.clamp(0, width), y1.clamp(0, height), x2.clamp(0, width), y2.clamp(0, height)], dim=-1)


def scale_boxes(boxes: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """`boxes` `[N, 4]` of a picture of size `old` (height, width) after it was resized to `new`."""
    y, x = new[0] / old[0], new[1] / old[1]
    return boxes * boxes.new_tensor([x, y, x, y])


def flip_boxes(boxes: Tensor, width: int) -> Tensor:
    """`boxes` `[N, 4]` mirrored left to right in a picture of `width`."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torch.stack([width - x2, y1, width - x1, y2], dim=-1)


def boxes_of_masks(masks: Tensor) -> Tensor:
    """The tight boxes `[N, 4]` round the pixels of masks `[N, H, W]` bool, none of which may be empty."""
    boxes = torch.zeros((len(masks), 4))
    for box, mask in zip(boxes, masks, strict=True):
        rows, columns = torch.where(mask.any(dim=1))[0], torch.where(mask.any(dim=0))[0]
        box[:] = torch.stack([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    return boxes
