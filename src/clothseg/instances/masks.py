"""Masks in the four forms that they are stored in, and the ways between them.

`Rle` (COCO's compressed run lengths) is the form on disk and in annotations, a bool array is the form with pixels, a
PNG is Open Images' form, polygons are what other tools write. `Masks` is several of one photo, behind one interface:
`RleMasks`, `PixelMasks`, and `BoxMasks`, a network's small maps that become pixels only when somebody asks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypedDict, cast

import numpy as np
import torch
import torch.nn.functional as F
from hotcoco import mask as coco_mask
from numpy.typing import NDArray
from torch import Tensor

from clothseg.errors import DataError

BoolMask = NDArray[np.bool_]


class Rle(TypedDict):
    """COCO's compressed run lengths: `size` is [height, width]; `counts` runs down the columns, first background."""

    size: list[int]
    counts: str


def _rle(answer: Any) -> Rle:
    counts = answer["counts"]
    return {
        "size": [int(n) for n in answer["size"]],
        "counts": counts.decode() if isinstance(counts, bytes) else str(counts),
    }


def encode(mask: BoolMask) -> Rle:
    """Run lengths of a `[H, W]` mask. Source: COCO's mask API."""
    return _rle(coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8)))


def decode(rle: Rle) -> BoolMask:
    """The `[H, W]` mask of run lengths.

    Raises:
        DataError: the run lengths cannot be read, or do not fill their size exactly.
    """
    height, width = rle["size"]
    filled = sum(run_lengths(rle["counts"]))
    if filled != height * width:
        raise DataError(f"RLE runs fill {filled} pixels, but the size {height} x {width} has {height * width}")
    return np.asarray(coco_mask.decode(cast(Any, rle)), dtype=np.bool_)


def run_lengths(counts: str) -> list[int]:
    """The runs in COCO's compressed string: 5 bits a character, a sign, and from the third on differences.

    Raises:
        DataError: the string has a character outside the format, ends inside a number, or gives a negative run.
    """
    runs: list[int] = []
    value, shift = 0, 0
    for position, character in enumerate(counts):
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise DataError(f"RLE counts hold {character!r} at position {position}, which the format does not know")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        if runs[-1] < 0:
            raise DataError(f"RLE counts give a run of {runs[-1]} pixels")
        value, shift = 0, 0
    if shift:
        raise DataError("RLE counts end inside a number; the string was cut")
    return runs


def from_polygons(polygons: Sequence[Sequence[float]], height: int, width: int) -> Rle:
    """Run lengths of an object of one or several polygons, `[x1, y1, x2, y2, ...]` each, drawn as COCO draws them.

    Raises:
        DataError: no polygon, or one with fewer than 3 points or an odd number of coordinates.
    """
    if not polygons:
        raise DataError("the segmentation has no polygon")
    for polygon in polygons:
        if len(polygon) < 6 or len(polygon) % 2:
            raise DataError(f"a polygon needs 3 or more x y pairs; this one has {len(polygon)} numbers")
    drawn = coco_mask.fr_py_objects([[float(v) for v in polygon] for polygon in polygons], height, width)
    return _rle(coco_mask.merge(cast(Any, drawn)))


def from_segmentation(segmentation: object, height: int, width: int) -> Rle:
    """Run lengths from the `segmentation` of a COCO annotation: polygons, compressed or uncompressed RLE.

    Raises:
        DataError: it is none of them, or an RLE of another size than `height` x `width`.
    """
    if isinstance(segmentation, list):
        return from_polygons(segmentation, height, width)
    if not isinstance(segmentation, dict) or not {"size", "counts"} <= segmentation.keys():
        raise DataError("the segmentation is neither polygons nor RLE with size and counts")
    size, counts = segmentation["size"], segmentation["counts"]
    if list(size) != [height, width]:
        raise DataError(f"the RLE has size {size} (height, width), but the photo has {[height, width]}")
    if isinstance(counts, list):
        if sum(counts) != height * width or min(counts, default=0) < 0:
            raise DataError(f"RLE runs fill {sum(counts)} pixels, but {height} x {width} are {height * width}")
        return _rle(coco_mask.fr_py_objects(segmentation, height, width))
    rle = Rle(size=[height, width], counts=counts.decode() if isinstance(counts, bytes) else str(counts))
    if sum(run_lengths(rle["counts"])) != height * width:
        raise DataError(f"RLE runs do not fill the {height} x {width} pixels of the photo")
    return rle


def mask_area(rle: Rle) -> int:
    """Pixels of the object."""
    return int(coco_mask.area(cast(Any, rle)))


def tight_box(rle: Rle) -> tuple[float, float, float, float]:
    """The extent of the object's pixels as COCO's x, y, width, height; all 0 for an empty mask."""
    x, y, width, height = (float(v) for v in coco_mask.to_bbox(cast(Any, rle)))
    return x, y, width, height


def mask_iou(found: Sequence[Rle], truth: Sequence[Rle], crowd: Sequence[bool] | None = None) -> NDArray[np.float64]:
    """`[len(found), len(truth)]` intersection over union; over the found mask's own area where truth is a crowd."""
    if not found or not truth:
        return np.zeros((len(found), len(truth)))
    flags = [int(c) for c in crowd] if crowd is not None else [0] * len(truth)
    return np.asarray(coco_mask.iou(cast(Any, list(found)), cast(Any, list(truth)), flags), dtype=np.float64)


def resize_mask(mask: BoolMask, size: tuple[int, int]) -> BoolMask:
    """A `[H, W]` mask on the grid of another picture of `size` (height, width), each pixel from the nearest one.

    The two grids share their outer edges, so a pixel of the new grid takes the old pixel under its centre.
    """
    if mask.shape == tuple(size):
        return mask
    rows, columns = ((2 * np.arange(new) + 1) * old // (2 * new) for new, old in zip(size, mask.shape, strict=True))
    whole_rows: BoolMask = mask[rows]  # first, because whole rows are quick to copy
    return whole_rows[:, columns]


def paste(probability: Tensor, box: Tensor, size: tuple[int, int], threshold: float) -> tuple[slice, slice, BoolMask]:
    """Bring one small map back to pixels, touching only those of its box.

    The map is framed by one cell of zeros, so that an edge inside it stays sharp at the box's rim; box corners are cut
    to whole pixels and the map is interpolated linearly in between. Source: torchvision's reference network.

    Args:
        probability: `[M, M]` float in 0..1.
        box: `[4]` x1 y1 x2 y2 in pixels of a picture of `size` (height, width).
        size: height and width of the picture.
        threshold: what is above it belongs to the object.

    Returns:
        rows and columns of the picture that were touched, and the mask there.
    """
    cells = probability.shape[-1]
    framed = F.pad(probability[None, None], (1, 1, 1, 1))
    grown = (cells + 2) / cells
    half_width, half_height = (box[2] - box[0]) * 0.5 * grown, (box[3] - box[1]) * 0.5 * grown
    centre_x, centre_y = (box[2] + box[0]) * 0.5, (box[3] + box[1]) * 0.5
    x1, x2 = int(centre_x - half_width), int(centre_x + half_width)
    y1, y2 = int(centre_y - half_height), int(centre_y + half_height)
    height, width = max(y2 - y1 + 1, 1), max(x2 - x1 + 1, 1)
    soft = F.interpolate(framed, size=(height, width), mode="bilinear", align_corners=False)[0, 0]
    top, left = max(y1, 0), max(x1, 0)
    bottom, right = max(min(y2 + 1, size[0]), top), max(min(x2 + 1, size[1]), left)
    crop = soft[top - y1 : bottom - y1, left - x1 : right - x1] > threshold
    return slice(top, bottom), slice(left, right), crop.cpu().numpy()


class Masks(Protocol):
    """N masks of one photo of `size` (height, width)."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the photo."""
        ...

    def __len__(self) -> int: ...

    def select(self, positions: Tensor) -> "Masks":
        """Those at `positions`, int64 `[K]`, in that order."""
        ...

    def pixels(self) -> Tensor:
        """`[N, H, W]` bool."""
        ...

    def rle(self) -> list[Rle]:
        """N run-length forms."""
        ...


@dataclass(frozen=True)
class RleMasks:
    """Masks kept as run lengths: small, and exact."""

    runs: Sequence[Rle]
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.runs)

    def select(self, positions: Tensor) -> "RleMasks":
        """See `Masks.select`."""
        return RleMasks([self.runs[i] for i in positions.tolist()], self.size)

    def pixels(self) -> Tensor:
        """See `Masks.pixels`."""
        if not self.runs:
            return torch.zeros((0, *self.size), dtype=torch.bool)
        return torch.from_numpy(np.stack([decode(rle) for rle in self.runs]))

    def rle(self) -> list[Rle]:
        """See `Masks.rle`."""
        return list(self.runs)


@dataclass(frozen=True)
class PixelMasks:
    """Masks kept as pixels, `[N, H, W]` bool: quick to work on, large."""

    values: Tensor

    @property
    def size(self) -> tuple[int, int]:
        """See `Masks.size`."""
        return self.values.shape[1], self.values.shape[2]

    def __len__(self) -> int:
        return len(self.values)

    def select(self, positions: Tensor) -> "PixelMasks":
        """See `Masks.select`."""
        return PixelMasks(self.values[positions.to(self.values.device)])

    def pixels(self) -> Tensor:
        """See `Masks.pixels`."""
        return self.values

    def rle(self) -> list[Rle]:
        """See `Masks.rle`."""
        return [encode(mask) for mask in self.values.cpu().numpy()]


@dataclass(frozen=True)
class BoxMasks:
    """Masks as a network gives them: `probabilities` `[N, M, M]`, each in its own box of `boxes` `[N, 4]`."""

    probabilities: Tensor
    boxes: Tensor
    size: tuple[int, int]
    threshold: float = 0.5

    def __len__(self) -> int:
        return len(self.boxes)

    def select(self, positions: Tensor) -> "BoxMasks":
        """See `Masks.select`."""
        positions = positions.to(self.boxes.device)
        return BoxMasks(self.probabilities[positions], self.boxes[positions], self.size, self.threshold)

    def pixels(self) -> Tensor:
        """See `Masks.pixels`."""
        canvas = np.zeros((len(self), *self.size), dtype=np.bool_)
        for mask, probability, box in zip(canvas, self.probabilities, self.boxes, strict=True):
            rows, columns, crop = paste(probability, box, self.size, self.threshold)
            mask[rows, columns] = crop
        return torch.from_numpy(canvas)

    def rle(self) -> list[Rle]:
        """See `Masks.rle`. One mask at a time, so that memory does not grow with their number."""
        return [encode(self.select(torch.tensor([i])).pixels()[0].numpy()) for i in range(len(self))]
