"""Which way of making a mask smaller or larger keeps most of it? Measured on the real masks of a folder.

    python benchmarks/resize_masks.py [SOURCE] [--masks 300]

Two questions. *Back on the photo's grid*: Open Images stores masks at another size than the photo; here a mask is the
truth, is stored at another size (by nearest pixel, as our source did), and brought back. *Smaller*: a mask is made
smaller, as `--max-size` does, and held against the truth: each small pixel against the part of it that the truth
covers, and the small mask blown up again against the truth.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from clothseg import sample
from clothseg.instances import read_mask_png, resize_mask
from clothseg.openimages import MaskArchive, mask_list, read_masks

Mask = np.ndarray[Any, np.dtype[np.bool_]]
Size = tuple[int, int]


def area(mask: Mask, size: Size) -> Mask:
    """A pixel belongs to the object if half of it does."""
    grey = Image.fromarray(mask.astype(np.uint8) * 255).resize((size[1], size[0]), Image.Resampling.BOX)
    return np.asarray(grey) >= 128


def bilinear(mask: Mask, size: Size) -> Mask:
    """Interpolated between the four nearest, without regard to the pixels in between; half is the object."""
    return np.asarray(cv2.resize(mask.astype(np.float32), (size[1], size[0]), interpolation=cv2.INTER_LINEAR) >= 0.5)


def antialiased(mask: Mask, size: Size) -> Mask:
    """Interpolated with a triangle as wide as the new pixel; half is the object."""
    grey = Image.fromarray(mask.astype(np.uint8) * 255).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(grey) >= 128


WAYS: dict[str, Callable[[Mask, Size], Mask]] = {
    "nearest": resize_mask,
    "area >= 1/2": area,
    "bilinear >= 1/2": bilinear,
    "triangle >= 1/2": antialiased,
}


def iou(one: Mask, other: Mask) -> float:
    """Intersection over union."""
    return float((one & other).sum() / max((one | other).sum(), 1))


def coverage_error(small: Mask, truth: Mask) -> float:
    """How much of the object's area is wrong, when each small pixel stands for all that it covers."""
    covered = np.asarray(
        Image.fromarray(truth.astype(np.float32)).resize((small.shape[1], small.shape[0]), Image.Resampling.BOX)
    )
    return float(np.abs(small - covered).sum() / covered.sum())


def longest(mask: Mask, length: int) -> Size:
    """The size with so long a longer side."""
    scale = length / max(mask.shape)
    return round(mask.shape[0] * scale), round(mask.shape[1] * scale)


def main() -> None:
    """Print two tables in Markdown."""
    parser = argparse.ArgumentParser(description="Ways of resizing masks, measured.")
    parser.add_argument("source", type=Path, nargs="?", default=sample.folder())
    parser.add_argument("--masks", type=int, default=300)
    given = parser.parse_args()
    names = [row.mask_path for row in read_masks(mask_list(given.source, "train"), None)][: given.masks]
    with MaskArchive(given.source, "train") as archive:
        truths = [read_mask_png(archive.read(name)) for name in names]
    print(f"{len(truths)} masks, sizes {sorted({max(t.shape) for t in truths})}\n")
    print("| back on the grid of | " + " | ".join(f"{way} IoU, area" for way in WAYS) + " |")
    print("|---|" + "---|" * len(WAYS))
    for factor in (0.7, 1.25, 1.5625, 2.0):
        cells = []
        for way in WAYS.values():
            rows = []
            for truth in truths:
                size = (truth.shape[0], truth.shape[1])
                stored = resize_mask(truth, (round(size[0] * factor), round(size[1] * factor)))
                again = way(stored, size)
                rows.append((iou(again, truth), again.sum() / truth.sum() - 1))
            mean = np.mean(rows, axis=0)
            cells.append(f"{mean[0]:.4f}, {mean[1]:+.2%}")
        print(f"| a mask stored {factor:g} x as large | " + " | ".join(cells) + " |")
    print("\n| made smaller to | " + " | ".join(f"{way} wrong area, IoU, area" for way in WAYS) + " |")
    print("|---|" + "---|" * len(WAYS))
    for length in (800, 512, 256, 128):
        cells = []
        for way in WAYS.values():
            rows3 = []
            for truth in truths:
                size = longest(truth, min(length, max(truth.shape)))
                small = way(truth, size)
                back = area(small, (truth.shape[0], truth.shape[1]))
                scale = truth.size / small.size
                rows3.append((coverage_error(small, truth), iou(back, truth), small.sum() * scale / truth.sum() - 1))
            mean = np.mean(rows3, axis=0)
            cells.append(f"{mean[0]:.2%}, {mean[1]:.4f}, {mean[2]:+.2%}")
        print(f"| {length} px | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
