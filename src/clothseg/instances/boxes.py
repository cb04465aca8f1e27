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
    """`boxes` `[..., 4]` clipped to a picture of `size` (height, width)."""
    return clip_to(boxes, (0, 0, size[1], size[0]))


def clip_to(boxes: Tensor, bounds: tuple[float, float, float, float]) -> Tensor:
    """`boxes` `[..., 4]` clipped to the bounds x1 y1 x2 y2."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    left, top, right, bottom = bounds
    return torch.stack(
        [x1.clamp(left, right), y1.clamp(top, bottom), x2.clamp(left, right), y2.clamp(top, bottom)], dim=-1
    )


def scale_boxes(boxes: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """`boxes` `[N, 4]` of a picture of size `old` (height, width) after it was resized to `new`."""
    y, x = new[0] / old[0], new[1] / old[1]
    return boxes * boxes.new_tensor([x, y, x, y])


def boxes_of_masks(masks: Tensor) -> Tensor:
    """The tight boxes `[N, 4]` round the pixels of masks `[N, H, W]` bool; all 0 for an empty mask."""
    boxes = torch.zeros((len(masks), 4))
    for box, mask in zip(boxes, masks, strict=True):
        rows, columns = torch.where(mask.any(dim=1))[0], torch.where(mask.any(dim=0))[0]
        if len(rows):
            box[:] = torch.stack([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    return boxes
