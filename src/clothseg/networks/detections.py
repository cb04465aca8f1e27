"""What a network detects on a photo, before it is moved from network to image coordinates."""

from dataclasses import dataclass

from torch import Tensor

from clothseg.instances import PasteRule


@dataclass(frozen=True)
class BoxMaps:
    """Masks as small maps of probabilities `[D, M, M]`, one in each box; `rule` says how they become pixels."""

    probabilities: Tensor
    rule: PasteRule = "torchvision"


@dataclass(frozen=True)
class InputMaps:
    """Masks as maps of probabilities `[D, h, w]` over the whole input, 0 far from their objects."""

    probabilities: Tensor


@dataclass(frozen=True)
class LabelGrid:
    """Masks as one grid over the whole input.

    Attributes:
        labels: `[h, w]` int64; a cell with value d + 1 belongs to detection d, 0 to none.
        probabilities: `[h, w]` float in 0..1, of a cell's own label.
    """

    labels: Tensor
    probabilities: Tensor


@dataclass(frozen=True)
class Detections:
    """Detections on one photo, best first. The masks are on the network's device, all else there or on the CPU.

    Attributes:
        boxes: `[D, 4]` in network coordinates.
        classes: `[D]` int64, 1..K.
        scores: `[D]` in 0..1.
        masks: of these detections.
    """

    boxes: Tensor
    classes: Tensor
    scores: Tensor
    masks: BoxMaps | InputMaps | LabelGrid
