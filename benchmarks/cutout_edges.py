"""How well do the edges of cut-outs lie on the truth's: the mask as the network gives it, and ways to refine it?

    python benchmarks/cutout_edges.py [DATA] [--run RUN] [--masks 60] [--methods raw,guided]

DATA is a folder of Open Images files (the sample, unless given) whose validation and test photos have masks. The truth
is brought to 28 x 28 cells in a box that is off by 2 % of its sides, blurred and disturbed, as a network gives it; with
--run, that network's own masks are refined (those with IoU 0.5 or more with a garment of the class).
"""

import argparse
import csv
import time
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pymatting import estimate_alpha_cf
from torchvision.ops import roi_align

from clothseg import sample
from clothseg.garments.matting import SoftMask, guided, refine, soft_mask
from clothseg.instances import BoxMasks, read_mask_png, resize_mask
from clothseg.models import MaskRCNN
from clothseg.photos import read_photo

BoolMask = NDArray[np.bool_]
Picture = NDArray[np.uint8]
Plane = NDArray[np.float32]
TOLERANCES = (1, 2, 4)
CLASSES = ("Suit", "Dress", "Jeans")


@dataclass(frozen=True)
class Case:
    """A garment: the photo it is on, its true mask, and the coarse one."""

    photo: str
    pixels: Picture
    truth: BoolMask
    coarse: BoxMasks


def garments(data: Path, classes: tuple[str, ...]) -> Iterator[tuple[str, str, Picture, BoolMask]]:
    """Photo id, class, photo `[H, W, 3]` and mask `[H, W]` of every mask of the classes in validation and test."""
    with (data / "class-descriptions-boxable.csv").open(encoding="utf-8", newline="") as file:
        names = dict(csv.reader(file))
    for split in ("validation", "test"):
        table = data / f"{split}-annotations-object-segmentation.csv"
        if not table.is_file():  # the sample has no test photos
            continue
        with table.open(newline="") as file:
            rows = sorted(csv.DictReader(file), key=lambda row: row["MaskPath"])
        for row in rows:
            if names[row["LabelName"]] in classes:
                photo = read_photo(data / split / f"{row['ImageID']}.jpg")
                archive = data / f"{split}-masks" / f"{split}-masks-{row['MaskPath'][0]}.zip"
                with zipfile.ZipFile(archive) as masks:
                    mask = read_mask_png(masks.read(row["MaskPath"]))
                yield row["ImageID"], names[row["LabelName"]], photo, resize_mask(mask, photo.shape[:2])


def degraded(truth: BoolMask, generator: np.random.Generator) -> BoxMasks:
    """The mask on 28 x 28 cells of a box that is slightly off, soft and with a smooth error."""
    ys, xs = np.flatnonzero(truth.any(axis=1)), np.flatnonzero(truth.any(axis=0))
    box = np.array([xs[0], ys[0], xs[-1] + 1, ys[-1] + 1], dtype=np.float64)
    box += generator.normal(0, 0.02, 4) * np.tile(box[2:] - box[:2], 2)
    box = np.clip(box, 0, np.tile(truth.shape[::-1], 2))
    region = torch.tensor([[0.0, *box]], dtype=torch.float32)
    cells = roi_align(torch.from_numpy(truth[None, None].astype(np.float32)), region, 28, sampling_ratio=8)
    soft = cv2.GaussianBlur(cells[0, 0].numpy(), (0, 0), 0.8).clip(1e-3, 1 - 1e-3)
    error = F.interpolate(torch.from_numpy(generator.normal(0, 1, (1, 1, 7, 7))), size=(28, 28), mode="bicubic")
    logits = torch.logit(torch.from_numpy(soft)) + error[0, 0]
    return BoxMasks(torch.sigmoid(logits).float()[None], region[:, 1:], (truth.shape[0], truth.shape[1]))


def found(run: Path, data: Path) -> Iterator[Case]:
    """The masks of a trained network that are of the right garment."""
    model = MaskRCNN.load(run)
    for name, label, photo, truth in garments(data, tuple(model.classes)):
        instances = model.predict(photo)
        instances = instances[instances.scores >= 0.3]
        instances = instances[instances.classes == model.classes.index(label) + 1]
        shares = [float(iou(mask.numpy(), truth)) for mask in instances.masks.pixels()]
        if shares and max(shares) >= 0.5:
            best = torch.tensor([int(np.argmax(shares))])
            masks = instances.masks.select(best)
            if isinstance(masks, BoxMasks):
                yield Case(name, photo, truth, masks)


def iou(one: BoolMask, other: BoolMask) -> float:
    """Intersection over union."""
    return float(np.count_nonzero(one & other)) / max(float(np.count_nonzero(one | other)), 1.0)


def edge(mask: BoolMask) -> BoolMask:
    """The mask's pixels that have a neighbour outside of it."""
    framed = np.pad(mask, 1).astype(np.uint8)
    return np.asarray((framed - cv2.erode(framed, np.ones((3, 3), np.uint8)))[1:-1, 1:-1], dtype=np.bool_)


def boundary_f(mask: BoolMask, truth: BoolMask, tolerance: float) -> float:
    """F-score of the mask's edge: pixels within `tolerance` of the truth's edge, and the other way round."""
    ours, theirs = edge(mask), edge(truth)
    if not ours.any() or not theirs.any():
        return 0.0
    to_ours, to_theirs = (cv2.distanceTransform((~e).astype(np.uint8), cv2.DIST_L2, 5) for e in (ours, theirs))
    precision, recall = float((to_theirs[ours] <= tolerance).mean()), float((to_ours[theirs] <= tolerance).mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def trimap(soft: SoftMask, width: float) -> NDArray[np.float64]:
    """1 inside, 0 outside, 0.5 within `width` (a part of the side) of the mask's edge."""
    inside = (soft.values > 0.5).astype(np.uint8)
    depth = cv2.distanceTransform(np.pad(inside, 1, mode="edge"), cv2.DIST_L2, 5)[1:-1, 1:-1]
    away = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    band = min(max(width * soft.side, 2.0), 0.8 * float(depth.max()))
    return np.where(depth > band, 1.0, np.where(away > band, 0.0, 0.5))


def crop(photo: Picture, soft: SoftMask) -> Picture:
    """The part of the photo."""
    return np.ascontiguousarray(photo[soft.rows, soft.columns])


def closed_form(photo: Picture, soft: SoftMask, width: float) -> Plane:
    """PyMatting's closed-form matting in a band."""
    alpha = estimate_alpha_cf(crop(photo, soft) / 255.0, trimap(soft, width), laplacian_kwargs={"epsilon": 1e-5})
    return np.asarray(alpha, dtype=np.float32)


def grab_cut(photo: Picture, soft: SoftMask, width: float) -> Plane:
    """OpenCV's GrabCut in a band."""
    band = trimap(soft, width)
    likely = np.where(soft.values > 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD)
    labels = np.where(band == 1, cv2.GC_FGD, np.where(band == 0, cv2.GC_BGD, likely)).astype(np.uint8)
    cv2.setRNGSeed(0)
    empty = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(crop(photo, soft), labels, (0, 0, 1, 1), empty[0], empty[1], 3, cv2.GC_INIT_WITH_MASK)
    return (labels % 2).astype(np.float32)


def guided_soft(photo: Picture, soft: SoftMask, radius: float) -> Plane:
    """The guided filter on the soft mask."""
    guide = crop(photo, soft).astype(np.float32) / np.float32(255)
    return guided(guide, soft.values, max(radius * soft.side, 1.5), 1e-4)


METHODS: dict[str, Callable[[Picture, SoftMask], Plane]] = {
    "raw": lambda photo, soft: soft.values,
    "guided filter, radius 5 %": lambda photo, soft: guided_soft(photo, soft, 0.05),
    "guided filter, radius 10 %": lambda photo, soft: guided_soft(photo, soft, 0.10),
    "closed form, band 5 %": lambda photo, soft: closed_form(photo, soft, 0.05),
    "GrabCut alone, band 10 %": lambda photo, soft: grab_cut(photo, soft, 0.10),
    "ours, band 6 %": lambda photo, soft: refine(photo, soft, 0.06),
    "ours, band 10 %": lambda photo, soft: refine(photo, soft, 0.10),
    "ours, band 14 %": lambda photo, soft: refine(photo, soft, 0.14),
}


def measure(cases: Iterator[Case], methods: list[str]) -> None:
    """Refine every case by every method and print the table."""
    scores: dict[str, list[list[float]]] = defaultdict(list)
    photos: list[str] = []
    for case in cases:
        soft = soft_mask(case.coarse, 0)
        if soft is None:
            continue
        photos.append(case.photo)
        truth = case.truth[soft.rows, soft.columns]
        for method in methods:
            begun = time.process_time()
            mask = METHODS[method](case.pixels, soft) > 0.5
            seconds = time.process_time() - begun
            scores[method].append([*(boundary_f(mask, truth, t) for t in TOLERANCES), iou(mask, truth), seconds])
    show(scores, photos)


def show(scores: dict[str, list[list[float]]], photos: list[str]) -> None:
    """The means, and each method's gain on the raw mask with its 95 % bootstrap interval over photos."""
    print(f"{len(photos)} garments on {len(set(photos))} photos; F at a tolerance in pixels")
    print("| method | F 1 px | F 2 px | F 4 px | IoU | gain at 1 px | gain at 2 px | CPU seconds a garment |")
    print("|---|---|---|---|---|---|---|---|")
    groups = [np.flatnonzero(np.array(photos) == name) for name in sorted(set(photos))]
    raw = np.array(scores["raw"])
    for method, rows in scores.items():
        values = np.array(rows)
        cells = [f"{v:.3f}" for v in values[:, :4].mean(axis=0)]
        cells += [gain(values[:, column] - raw[:, column], groups) for column in (0, 1)]
        print(f"| {method} | {' | '.join(cells)} | {np.median(values[:, 4]):.3f} |", flush=True)


def gain(differences: NDArray[np.float64], groups: list[NDArray[np.intp]]) -> str:
    """Mean with a 95 % interval; photos are drawn, with all their garments."""
    generator = np.random.default_rng(0)
    means = []
    for _ in range(2000):
        drawn = generator.integers(0, len(groups), len(groups))
        means.append(float(differences[np.concatenate([groups[g] for g in drawn])].mean()))
    low, high = np.percentile(means, (2.5, 97.5))
    return f"{differences.mean():+.3f} [{low:+.3f}, {high:+.3f}]"


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", default=sample.folder(), help="folder of Open Images files")
    parser.add_argument("--run", type=Path, help="a trained network")
    parser.add_argument("--masks", type=int, default=1000, help="at most so many garments")
    parser.add_argument("--methods", default="", help="words in the methods' names")
    arguments = parser.parse_args()
    words = [word.replace(";", ",") for word in arguments.methods.split(",")]
    methods = ["raw", *(m for m in METHODS if m != "raw" and any(word in m for word in words))]
    if arguments.run:
        cases = found(arguments.run, arguments.data)
    else:
        generator = np.random.default_rng(0)
        cases = (Case(n, p, m, degraded(m, generator)) for n, _, p, m in garments(arguments.data, CLASSES))
    measure((case for case, _ in zip(cases, range(arguments.masks), strict=False)), methods)


if __name__ == "__main__":
    main()
