"""`Target`: what a network learns from, on its input."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from clothseg.networks.transfer import to_device


@dataclass(frozen=True)
class Target:
    """The ground truth of one photo on the network's input.

    Attributes:
        boxes: `[N, 4]` float, x1 y1 x2 y2 in pixels of the input, of the instances to find.
        classes: `[N]` int64, 1..K.
        masks: `[M, h, w]` uint8 on the resized photo, of the first M instances; of the others only the box is known.
        ignored: `[C, 4]` float, boxes of crowds: a detection there is neither right nor wrong.
        ignored_pixels: `[h, w]` uint8 on the resized photo, 1 in crowds' masks; None without crowds.
    """

    boxes: Tensor
    classes: Tensor
    masks: Tensor
    ignored: Tensor
    ignored_pixels: Tensor | None = None

    @property
    def all_have_masks(self) -> bool:
        """Whether no instance has only a box."""
        return len(self.masks) == len(self.boxes)


def have_masks(matches: Tensor, targets: Sequence[Target]) -> Tensor:
    """Which boxes or anchors are matched to an object with a mask: `[B, N]` bool.

    `matches` `[B, N]` are the number of each one's object among those of its photo, or negative.
    """
    found = matches >= 0
    if all(target.all_have_masks for target in targets):
        return found
    masks = to_device(torch.tensor([len(target.masks) for target in targets]), matches.device)
    return found & (matches < masks[:, None])


def touched_cells(boxes: Tensor, size: tuple[int, int], first: tuple[int, int] = (0, 0)) -> tuple[Tensor, Tensor]:
    """The cells of a grid that boxes touch: those in the rows `[K, h]` and the columns `[K, w]` bool of a box.

    Args:
        boxes: `[K, 4]`, x1 y1 x2 y2 in cells.
        size: height and width of the grid.
        first: row and column of its first cell.
    """
    sides = []
    for axis in (1, 0):
        edge = torch.arange(size[1 - axis], device=boxes.device) + first[1 - axis]
        sides.append((edge + 1 > boxes[:, axis, None]) & (edge < boxes[:, axis + 2, None]))
    return sides[0], sides[1]
