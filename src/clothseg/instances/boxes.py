"""Boxes: `[N, 4]` float, x1 y1 x2 y2 in pixels. x2 and y2 are outer edges, so the width is x2 - x1.

IoU, areas and NMS are in `torchvision.ops`. This file has what it lacks.
"""

import torch
from torch import Tensor


def to_xywh(boxes: Tensor) -> Tensor:
    """Converts boxes `[N, 4]` from x1 y1 x2 y2 to COCO's x y width height."""
    return torch.cat([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], dim=1)


def from_xywh(boxes: Tensor) -> Tensor:
    """Converts boxes `[N, 4]` from COCO's x y width height to x1 y1 x2 y2."""
    return torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], dim=1)


def clip_boxes(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Clips boxes `[..., 4]` to an image of `size` (height, width)."""
    return clip_to(boxes, (0, 0, size[1], size[0]))


def clip_to(boxes: Tensor, bounds: tuple[float, float, float, float]) -> Tensor:
    """Clips boxes `[..., 4]` to the bounds x1 y1 x2 y2."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    left, top, right, bottom = bounds
    return torch.stack(
        [x1.clamp(left, right), y1.clamp(top, bottom), x2.clamp(left, right), y2.clamp(top, bottom)], dim=-1
    )


def scale_boxes(boxes: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """Scales boxes `[N, 4]` with their image, which is resized from `old` to `new` (height, width)."""
    if old == new:
        return boxes
    y, x = new[0] / old[0], new[1] / old[1]
    return boxes * boxes.new_tensor([x, y, x, y])


def boxes_of_masks(masks: Tensor) -> Tensor:
    """The tight boxes `[N, 4]` around the pixels of masks `[N, H, W]` bool. An empty mask gives all 0."""
    boxes = torch.zeros((len(masks), 4))
    for box, mask in zip(boxes, masks, strict=True):
        rows, columns = torch.where(mask.any(dim=1))[0], torch.where(mask.any(dim=0))[0]
        if len(rows):
            box[:] = torch.stack([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    return boxes
