"""Where a resized photo lies in the network's input, and the coordinates that boxes have inside the network."""

from dataclasses import dataclass

import torch
from torch import Tensor

from clothseg.instances import scale_boxes
from clothseg.networks.mask_rcnn.conventions import Conventions


@dataclass(frozen=True)
class Window:
    """The place of one resized photo in the padded input.

    Attributes:
        top, left, height, width: of the photo, in pixels of the input.
        padded: height and width of the input.
    """

    top: int
    left: int
    height: int
    width: int
    padded: tuple[int, int]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the resized photo."""
        return self.height, self.width


def place_window(size: tuple[int, int], padded: tuple[int, int], conventions: Conventions) -> Window:
    """The window of a photo of `size` in an input of size `padded`: at its top left, or in its middle."""
    top, left = ((padded[0] - size[0]) // 2, (padded[1] - size[1]) // 2) if conventions.centred else (0, 0)
    return Window(top, left, *size, padded)


def _ends(boxes: Tensor, padded: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """What turns pixels into normalised coordinates: taken off, and divided by."""
    shift = torch.tensor([0, 0, 1, 1], dtype=torch.float64, device=boxes.device)
    height, width = padded[0] - 1, padded[1] - 1
    return shift, torch.tensor([width, height, width, height], dtype=torch.float64, device=boxes.device)


def inward(boxes: Tensor, padded: tuple[int, int], conventions: Conventions) -> Tensor:
    """Boxes `[N, 4]` in pixels of the input, in the network's own coordinates; float32."""
    if not conventions.normalised_boxes:
        return boxes.float()
    shift, scale = _ends(boxes, padded)
    return ((boxes.double() - shift) / scale).float()


def limits(window: Window, conventions: Conventions, *, padded: bool) -> tuple[float, float, float, float]:
    """x1 y1 x2 y2, in the network's own coordinates, of the photo, or of the whole input with `padded`."""
    if padded:
        edges = (0.0, 0.0, float(window.padded[1]), float(window.padded[0]))
    else:
        right, bottom = window.left + window.width, window.top + window.height
        edges = (float(window.left), float(window.top), float(right), float(bottom))
    return tuple(inward(torch.tensor([edges]), window.padded, conventions)[0].tolist())


def cut(boxes: Tensor, edges: tuple[float, float, float, float]) -> Tensor:
    """Boxes `[..., 4]` cut off at the edges x1 y1 x2 y2."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    left, top, right, bottom = edges
    return torch.stack(
        [x1.clamp(left, right), y1.clamp(top, bottom), x2.clamp(left, right), y2.clamp(top, bottom)], dim=-1
    )


def into_photo(boxes: Tensor, window: Window, original: tuple[int, int], conventions: Conventions) -> Tensor:
    """Boxes `[N, 4]` from the network's own coordinates to pixels of the photo of size `original`."""
    if conventions.normalised_boxes:
        edges = torch.tensor(limits(window, conventions, padded=False), dtype=torch.float64, device=boxes.device)
        corner, extent = edges[:2].repeat(2), (edges[2:] - edges[:2]).repeat(2)
        shift, scale = _ends(boxes, original)
        placed = (boxes.double() - corner) / extent * scale + shift
    else:
        placed = boxes - boxes.new_tensor([window.left, window.top] * 2) if conventions.centred else boxes
        placed = scale_boxes(placed, window.size, original)
    return (placed.round() if conventions.whole_boxes else placed).float()


def from_photo(boxes: Tensor, window: Window, original: tuple[int, int]) -> Tensor:
    """Boxes `[N, 4]` from pixels of the photo of size `original` to pixels of the input."""
    return scale_boxes(boxes, original, window.size) + boxes.new_tensor([window.left, window.top] * 2)


def into_window(boxes: Tensor, window: Window, conventions: Conventions) -> Tensor:
    """Boxes `[N, 4]` from the network's own coordinates to pixels of the resized photo, x2 and y2 outer edges."""
    if conventions.normalised_boxes:
        shift, scale = _ends(boxes, window.padded)
        boxes = (boxes.double() * scale + shift).float()
    return boxes - boxes.new_tensor([window.left, window.top] * 2)
