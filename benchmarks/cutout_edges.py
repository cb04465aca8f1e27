"""Measures how well the edges of cut-outs match the true edges: the network's mask, and several ways to refine it.

    python benchmarks/cutout_edges.py [DATA] [--run RUN] [--masks 60] [--methods raw guided] [--record]

DATA is a folder of Open Images files (default: the sample) with masks in validation or test. The coarse masks are true
masks as a good network would give them: on 28 x 28 cells, in a box that is off by 2 % of its sides, blurred and
disturbed. With `--run`, they are the masks of that trained network, where they have an IoU of 0.5 or more with a true
garment of the class. Below a minute without `--run`.
"""

import argparse
import csv
import itertools
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pymatting import estimate_alpha_cf
from torchvision.ops import roi_align

from bench_tools import add_record_options, record
from clothseg import sample
from clothseg.garments import CutoutSettings, SoftMask, refine, soft_mask
from clothseg.garments.matting import guided
from clothseg.garments.parts import clean_parts
from clothseg.instances import BoxMasks, read_mask_png, resize_mask
from clothseg.models import MaskRCNN
from clothseg.photos import RgbImage, read_photo

BoolMask = NDArray[np.bool_]
Plane = NDArray[np.float32]
Method = Callable[[RgbImage, SoftMask], Plane]
TOLERANCES = (1, 2, 4)
CLASSES = ("Suit", "Dress", "Jeans")


@dataclass(frozen=True)
class Case:
    """A garment to cut out.

    Attributes:
        photo_id: of the photo that it is on.
        photo: `[H, W, 3]`.
        truth: `[H, W]`, the true mask.
        coarse: the mask of a network, on 28 x 28 cells.
    """

    photo_id: str
    photo: RgbImage
    truth: BoolMask
    coarse: BoxMasks


def true_garments(data: Path, classes: tuple[str, ...]) -> Iterator[tuple[str, str, RgbImage, BoolMask]]:
    """Yields photo id, class, photo `[H, W, 3]` and mask `[H, W]` of every garment of the classes."""
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


def disturb(truth: BoolMask, generator: np.random.Generator) -> BoxMasks:
    """Samples a true mask on 28 x 28 cells of a box that is slightly off, blurs it and adds a smooth error."""
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


def network_cases(run: Path, data: Path) -> Iterator[Case]:
    """Yields the garments that a trained network finds with an IoU of 0.5 or more."""
    model = MaskRCNN.load(run)
    for photo_id, label, photo, truth in true_garments(data, tuple(model.classes)):
        instances = model.predict(photo)
        instances = instances[instances.scores >= 0.3]
        instances = instances[instances.classes == model.classes.index(label) + 1]
        ious = [iou(mask.numpy(), truth) for mask in instances.masks.pixels()]
        if ious and max(ious) >= 0.5:
            best = torch.tensor([int(np.argmax(ious))])
            masks = instances.masks.select(best)
            if isinstance(masks, BoxMasks):
                yield Case(photo_id, photo, truth, masks)


def iou(one: BoolMask, other: BoolMask) -> float:
    """Intersection over union of two masks."""
    return float(np.count_nonzero(one & other)) / max(float(np.count_nonzero(one | other)), 1.0)


def edge(mask: BoolMask) -> BoolMask:
    """The pixels of a mask that have a neighbour outside of it."""
    padded = np.pad(mask, 1).astype(np.uint8)
    return np.asarray((padded - cv2.erode(padded, np.ones((3, 3), np.uint8)))[1:-1, 1:-1], dtype=np.bool_)


def boundary_f(mask: BoolMask, truth: BoolMask, tolerance: float) -> float:
    """F-score of the edge pixels; a pixel is right within `tolerance` pixels of the other edge."""
    found, true = edge(mask), edge(truth)
    if not found.any() or not true.any():
        return 0.0
    to_found, to_true = (cv2.distanceTransform((~e).astype(np.uint8), cv2.DIST_L2, 5) for e in (found, true))
    precision, recall = float((to_true[found] <= tolerance).mean()), float((to_found[true] <= tolerance).mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def trimap(soft: SoftMask, width: float) -> NDArray[np.float64]:
    """1 inside, 0 outside, 0.5 near the edge.

    Args:
        soft: the coarse mask on its crop.
        width: of the band along the edge, as a part of the garment's side.
    """
    inside = (soft.values > 0.5).astype(np.uint8)
    depth = cv2.distanceTransform(np.pad(inside, 1, mode="edge"), cv2.DIST_L2, 5)[1:-1, 1:-1]
    away = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    band = min(max(width * soft.side, 2.0), 0.8 * float(depth.max()))
    return np.where(depth > band, 1.0, np.where(away > band, 0.0, 0.5))


def crop(photo: RgbImage, soft: SoftMask) -> RgbImage:
    """The part of the photo that the coarse mask covers."""
    return np.ascontiguousarray(photo[soft.rows, soft.columns])


def closed_form(photo: RgbImage, soft: SoftMask, width: float) -> Plane:
    """Closed-form matting of PyMatting, in a band along the edge."""
    alpha = estimate_alpha_cf(crop(photo, soft) / 255.0, trimap(soft, width), laplacian_kwargs={"epsilon": 1e-5})
    return np.asarray(alpha, dtype=np.float32)


def grab_cut(photo: RgbImage, soft: SoftMask, width: float) -> Plane:
    """GrabCut of OpenCV, in a band along the edge."""
    band = trimap(soft, width)
    likely = np.where(soft.values > 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD)
    labels = np.where(band == 1, cv2.GC_FGD, np.where(band == 0, cv2.GC_BGD, likely)).astype(np.uint8)
    cv2.setRNGSeed(0)
    empty = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(crop(photo, soft), labels, (0, 0, 1, 1), empty[0], empty[1], 3, cv2.GC_INIT_WITH_MASK)
    return (labels % 2).astype(np.float32)


def guided_soft(photo: RgbImage, soft: SoftMask, radius: float) -> Plane:
    """The guided filter on the coarse mask."""
    guide = crop(photo, soft).astype(np.float32) / np.float32(255)
    return guided(guide, soft.values, max(radius * soft.side, 1.5), 1e-4)


def cleaned(photo: RgbImage, soft: SoftMask) -> Plane:
    """What `cut_out` does with its default settings."""
    settings = CutoutSettings()
    alpha = refine(photo, soft, edges=settings.edges)
    return clean_parts(alpha, settings.min_part, settings.min_hole, reach=0.02 * soft.side + 2)


METHODS: dict[str, Method] = {
    "raw mask": lambda photo, soft: soft.values,
    "guided filter, radius 5 %": lambda photo, soft: guided_soft(photo, soft, 0.05),
    "guided filter, radius 10 %": lambda photo, soft: guided_soft(photo, soft, 0.10),
    "closed form, band 5 %": lambda photo, soft: closed_form(photo, soft, 0.05),
    "GrabCut alone, band 10 %": lambda photo, soft: grab_cut(photo, soft, 0.10),
    "regions and guided filter": refine,
    "regions and guided filter, cleaned": cleaned,
    "GrabCut and guided filter, band 6 %": lambda photo, soft: refine(photo, soft, 0.06, edges="grabcut"),
    "GrabCut and guided filter, band 10 %": lambda photo, soft: refine(photo, soft, 0.10, edges="grabcut"),
    "GrabCut and guided filter, band 14 %": lambda photo, soft: refine(photo, soft, 0.14, edges="grabcut"),
}


def measure(cases: Iterable[Case], methods: list[str]) -> tuple[dict[str, NDArray[np.float64]], list[str]]:
    """Refines every garment by every method.

    Returns:
        by method one row per garment: F-score at each of `TOLERANCES`, IoU, CPU seconds; and the garments' photo ids.
    """
    rows: dict[str, list[list[float]]] = {method: [] for method in methods}
    photo_ids: list[str] = []
    for case in cases:
        soft = soft_mask(case.coarse, 0)
        if soft is None:
            continue
        photo_ids.append(case.photo_id)
        truth = case.truth[soft.rows, soft.columns]
        for method in methods:
            start = time.process_time()
            mask = METHODS[method](case.photo, soft) > 0.5
            seconds = time.process_time() - start
            rows[method].append([*(boundary_f(mask, truth, t) for t in TOLERANCES), iou(mask, truth), seconds])
    return {method: np.array(values) for method, values in rows.items()}, photo_ids


def report(scores: dict[str, NDArray[np.float64]], photo_ids: list[str], options: argparse.Namespace) -> None:
    """Prints and records the means, and the gain of each method over the raw mask."""
    groups = [np.flatnonzero(np.array(photo_ids) == name) for name in sorted(set(photo_ids))]
    kind = "masks of the network" if options.run else "disturbed true masks"
    print(f"{kind}: {len(photo_ids)} garments on {len(groups)} photos; F: F-score of the edge, by tolerance in pixels")
    print("| method | F 1 px | F 2 px | F 4 px | IoU | gain at 1 px | gain at 2 px | CPU seconds per garment |")
    print("|---|---|---|---|---|---|---|---|")
    raw = scores["raw mask"]
    for method, values in scores.items():
        means = values[:, :4].mean(axis=0)
        gains = [gain(values[:, column] - raw[:, column], groups) for column in (0, 1)]
        texts = [f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]" for mean, low, high in gains]
        seconds = float(np.median(values[:, 4]))
        print(f"| {method} | {' | '.join([*(f'{v:.3f}' for v in means), *texts])} | {seconds:.3f} |", flush=True)
        note = f"{len(photo_ids)} garments"
        for name, value in zip([*(f"F-score at {t} px" for t in TOLERANCES), "IoU"], means, strict=True):
            record(options, f"{kind}, {method}: {name}", f"{value:.3f}", "", note)
        if method != "raw mask":
            mean, low, high = gains[1]
            interval = f"95 % interval [{low:+.3f}, {high:+.3f}]; {note}"
            record(options, f"{kind}, {method}: gain of the F-score at 2 px", f"{mean:+.3f}", "", interval)


def gain(differences: NDArray[np.float64], groups: list[NDArray[np.intp]]) -> tuple[float, float, float]:
    """The mean difference and its 95 % bootstrap interval. Whole photos are drawn, with all their garments."""
    generator = np.random.default_rng(0)
    means = []
    for _ in range(2000):
        drawn = generator.integers(0, len(groups), len(groups))
        means.append(float(differences[np.concatenate([groups[g] for g in drawn])].mean()))
    low, high = np.percentile(means, (2.5, 97.5))
    return float(differences.mean()), float(low), float(high)


def main() -> None:
    """Measures the chosen methods and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", default=sample.folder(), help="folder of Open Images files")
    parser.add_argument("--run", type=Path, help="use the masks of this trained network")
    parser.add_argument("--masks", type=int, default=1000, help="largest number of garments")
    parser.add_argument("--methods", nargs="+", default=[""], help="only methods whose name contains one of these")
    add_record_options(parser)
    options = parser.parse_args()
    chosen = [m for m in METHODS if m == "raw mask" or any(text in m for text in options.methods)]
    if options.run:
        cases = network_cases(options.run, options.data)
    else:
        generator = np.random.default_rng(0)
        cases = (Case(n, p, m, disturb(m, generator)) for n, _, p, m in true_garments(options.data, CLASSES))
    report(*measure(itertools.islice(cases, options.masks), chosen), options)


if __name__ == "__main__":
    main()
