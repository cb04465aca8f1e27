"""Compares ways to resize masks, on the true masks of a folder: which one keeps most of the mask?

    python benchmarks/resize_masks.py [SOURCE] [--masks 300] [--record]

Two questions. *Back on the photo's grid*: Open Images stores masks in another size than the photo. Here each mask is
resized by nearest pixel, as the source of the sample did it, and resized back; the result is compared with the mask.
*Smaller*: each mask is made smaller, as `dataset build --max-size` does it. Each small pixel is compared with the area
of the mask that it covers, and the small mask is enlarged and compared with the mask. About a minute.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from bench_tools import add_record_options, record
from clothseg import sample
from clothseg.instances import read_mask_png, resize_mask
from clothseg.openimages import MaskArchive, mask_list, read_masks

Mask = np.ndarray[Any, np.dtype[np.bool_]]
Size = tuple[int, int]
Method = Callable[[Mask, Size], Mask]


def area(mask: Mask, size: Size) -> Mask:
    """A pixel belongs to the object if the object covers half of it."""
    grey = Image.fromarray(mask.astype(np.uint8) * 255).resize((size[1], size[0]), Image.Resampling.BOX)
    return np.asarray(grey) >= 128


def bilinear(mask: Mask, size: Size) -> Mask:
    """Interpolates between the four nearest pixels, and thresholds at one half."""
    return np.asarray(cv2.resize(mask.astype(np.float32), (size[1], size[0]), interpolation=cv2.INTER_LINEAR) >= 0.5)


def triangle(mask: Mask, size: Size) -> Mask:
    """Interpolates with a triangle as wide as the new pixel, and thresholds at one half."""
    grey = Image.fromarray(mask.astype(np.uint8) * 255).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(grey) >= 128


METHODS: dict[str, Method] = {
    "nearest": resize_mask,
    "area >= 1/2": area,
    "bilinear >= 1/2": bilinear,
    "triangle >= 1/2": triangle,
}


def iou(one: Mask, other: Mask) -> float:
    """Intersection over union of two masks."""
    return float((one & other).sum() / max((one | other).sum(), 1))


def coverage_error(small: Mask, truth: Mask) -> float:
    """The wrong part of the object's area, if each small pixel is all object or all background."""
    covered = np.asarray(
        Image.fromarray(truth.astype(np.float32)).resize((small.shape[1], small.shape[0]), Image.Resampling.BOX)
    )
    return float(np.abs(small - covered).sum() / covered.sum())


def size_for(mask: Mask, length: int) -> Size:
    """The size of the mask when its longer side is `length`."""
    scale = length / max(mask.shape)
    return round(mask.shape[0] * scale), round(mask.shape[1] * scale)


def resize_and_back(truth: Mask, factor: float, method: Method) -> tuple[float, float]:
    """IoU and change of area of a mask that is stored `factor` times as large and resized back by `method`."""
    size = (truth.shape[0], truth.shape[1])
    stored = resize_mask(truth, (round(size[0] * factor), round(size[1] * factor)))
    restored = method(stored, size)
    return iou(restored, truth), restored.sum() / truth.sum() - 1


def make_smaller(truth: Mask, length: int, method: Method) -> tuple[float, float, float]:
    """Wrong part of the area, IoU when enlarged again, and change of area, of a mask that is made smaller."""
    small = method(truth, size_for(truth, min(length, max(truth.shape))))
    enlarged = area(small, (truth.shape[0], truth.shape[1]))
    scale = truth.size / small.size
    return coverage_error(small, truth), iou(enlarged, truth), small.sum() * scale / truth.sum() - 1


def main() -> None:
    """Prints two tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, nargs="?", default=sample.folder(), help="folder of Open Images files")
    parser.add_argument("--masks", type=int, default=300, help="largest number of masks")
    add_record_options(parser)
    options = parser.parse_args()
    names = [row.mask_path for row in read_masks(mask_list(options.source, "train"), None)][: options.masks]
    with MaskArchive(options.source, "train") as archive:
        truths = [read_mask_png(archive.read(name)) for name in names]
    print(f"{len(truths)} masks, longer sides {sorted({max(t.shape) for t in truths})}\n")

    def record_means(name: str, mean_iou: float, change: float) -> None:
        record(options, f"{name}: mean IoU", f"{mean_iou:.4f}", "", f"{len(truths)} masks")
        record(options, f"{name}: change of area", f"{100 * change:+.2f}", "%", f"{len(truths)} masks")

    print("| back on the grid of | " + " | ".join(f"{method}: IoU, area" for method in METHODS) + " |")
    print("|---|" + "---|" * len(METHODS))
    for factor in (0.7, 1.25, 1.5625, 2.0):
        cells = []
        for name, method in METHODS.items():
            mean_iou, change = np.mean([resize_and_back(truth, factor, method) for truth in truths], axis=0)
            cells.append(f"{mean_iou:.4f}, {change:+.2%}")
            record_means(f"stored {factor:g} x as large, {name}", mean_iou, change)
        print(f"| a mask stored {factor:g} x as large | " + " | ".join(cells) + " |")
    print("\n| made smaller to | " + " | ".join(f"{method}: wrong area, IoU, area" for method in METHODS) + " |")
    print("|---|" + "---|" * len(METHODS))
    for length in (800, 512, 256, 128):
        cells = []
        for name, method in METHODS.items():
            wrong, mean_iou, change = np.mean([make_smaller(truth, length, method) for truth in truths], axis=0)
            cells.append(f"{wrong:.2%}, {mean_iou:.4f}, {change:+.2%}")
            record_means(f"made smaller to {length} px, {name}", mean_iou, change)
        print(f"| {length} px | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
