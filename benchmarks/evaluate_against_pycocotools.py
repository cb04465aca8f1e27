"""How long does an evaluation take, and how much memory, beside pycocotools on the same detections?

Run it with the number of photos and of detections a photo, 5000 and 100 for instance; 200 and 100 without. Each side
reads the same two files in a process of its own, and is timed from the parsed rows to the figures. Peak memory is that
of the whole process; what the rows and the libraries alone take is given too.
"""

import contextlib
import io
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from clothseg.instances import encode, mask_area, tight_box

Tree = dict[str, Any]
Side = Callable[[Tree, list[Tree]], dict[str, float]]
SIZE = (384, 512)
CLASSES = 5
FIGURES = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large", "AR_1", "AR_10", "AR_100")


def shape(centre: Any, radii: Any, petals: int) -> dict[str, Any]:
    """A wavy ellipse as segmentation and bbox."""
    (cx, cy), (rx, ry) = centre, radii
    rows, columns = np.ogrid[: SIZE[0], : SIZE[1]]
    top, left = max(int(cy - 1.2 * ry), 0), max(int(cx - 1.2 * rx), 0)
    y, x = rows[top : int(cy + 1.2 * ry) + 2], columns[:, left : int(cx + 1.2 * rx) + 2]
    inside = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1 + 0.15 * np.sin(petals * np.arctan2(y - cy, x - cx))
    mask = np.zeros(SIZE, dtype=bool)
    mask[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    mask[min(int(cy), SIZE[0] - 1), min(int(cx), SIZE[1] - 1)] = True
    rle = encode(mask)
    return {"segmentation": rle, "bbox": list(tight_box(rle))}


def write(folder: Path, photos: int, most: int) -> None:
    """Truth with crowds and empty photos; detections near the objects, twice and in wrong classes, and elsewhere."""
    rng = np.random.default_rng(0)
    limit = np.array(SIZE[::-1]) - 1.0
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for photo in range(1, photos + 1):
        objects = [
            (rng.uniform(0, limit), rng.uniform(8, 110, 2), int(rng.integers(2, 7)), int(rng.integers(1, CLASSES + 1)))
            for _ in range(int(rng.integers(0, 9)))
        ]
        for centre, radii, petals, label in objects:
            drawn = shape(centre, radii, petals)
            crowd, area = int(rng.random() < 0.05), mask_area(drawn["segmentation"])
            row = {"id": len(annotations) + 1, "image_id": photo, "category_id": label, "iscrowd": crowd, "area": area}
            annotations.append(row | drawn)
        for number in range(most):
            centre, radii, petals, label = rng.uniform(0, limit), rng.uniform(8, 90, 2), 3, int(rng.integers(1, 6))
            score = float(rng.beta(1, 5))
            if number < 3 * len(objects):
                centre, radii, petals, right = objects[number % len(objects)]
                centre = np.clip(centre + rng.normal(0, 0.12, 2) * radii, 0, limit)
                radii = np.maximum(radii * (1 + rng.normal(0, 0.12, 2)), 4)
                label, score = (right if rng.random() < 0.85 else label), float(rng.beta(4, 2))
            found: dict[str, Any] = {"image_id": photo, "category_id": label, "score": round(score, 3)}
            results.append(found | shape(centre, radii, petals))
    images = [{"id": n, "height": SIZE[0], "width": SIZE[1]} for n in range(1, photos + 1)]
    categories = [{"id": c, "name": f"class {c}"} for c in range(1, CLASSES + 1)]
    tree = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "truth.json").write_text(json.dumps(tree))
    (folder / "results.json").write_text(json.dumps(results))


def ours(tree: Tree, found: list[Tree]) -> dict[str, float]:
    """The evaluator's COCO figures for masks and boxes, with all checks of the input."""
    from clothseg.evaluation import coco  # noqa: PLC0415 - each process loads only what it needs
    from clothseg.evaluation.results import checked_results  # noqa: PLC0415
    from clothseg.evaluation.truth import read_truth  # noqa: PLC0415

    truth = read_truth(tree)
    rows, _ = checked_results(found, truth)
    answer: dict[str, float | None] = {}
    for kind in coco.FIELDS:
        answer |= coco.overall(kind, coco.run_evaluator(truth, rows, kind))
    return {name: -1.0 if value is None else value for name, value in answer.items()}


def everything(tree: Tree, found: list[Tree]) -> dict[str, float]:
    """All that `clothseg evaluate` says of a results file: boundaries, report_mAP, mistakes, 500 resamples."""
    from clothseg.evaluation import evaluate_coco  # noqa: PLC0415

    overall = evaluate_coco(tree, found).overall
    return {name: -1.0 if value is None else value for name, value in overall.items()}


def theirs(tree: Tree, rows: list[Tree]) -> dict[str, float]:
    """pycocotools' figures for masks and boxes."""
    from pycocotools.coco import COCO  # noqa: PLC0415
    from pycocotools.cocoeval import COCOeval  # noqa: PLC0415

    answer: dict[str, float] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        ground = COCO()
        ground.dataset = tree
        ground.createIndex()
    for kind, library, dropped in (("mask", "segm", "bbox"), ("box", "bbox", "segmentation")):
        with contextlib.redirect_stdout(io.StringIO()):
            found = ground.loadRes([{key: value for key, value in row.items() if key != dropped} for row in rows])
            evaluator = COCOeval(ground, found, library)
            evaluator.evaluate()
            evaluator.accumulate()
            evaluator.summarize()
        answer |= {f"{kind}_{n}": float(v) for n, v in zip(FIGURES, evaluator.stats, strict=False)}
    return answer


def nothing(tree: Tree, found: list[Tree]) -> dict[str, float]:
    """Only the rows, and an evaluation of nothing: what loading libraries and files takes."""
    from clothseg.evaluation import evaluate_coco  # noqa: PLC0415

    evaluate_coco({"images": [], "annotations": [], "categories": []}, [])
    return {"rows": float(len(found) + len(tree))}


def measured(side: Side, folder: Path, answer: Connection) -> None:
    """Run one side, and answer with its figures, seconds (wall, processor) and peak memory in MB."""
    tree = json.loads((folder / "truth.json").read_text())
    found = json.loads((folder / "results.json").read_text())
    wall, processor = time.perf_counter(), time.process_time()
    figures = side(tree, found)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    answer.send((figures, time.perf_counter() - wall, time.process_time() - processor, peak))


def run(side: Side, folder: Path) -> tuple[dict[str, float], float, float, float]:
    """`measured` in a fresh process."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=measured, args=(side, folder, there))
    process.start()
    found: tuple[dict[str, float], float, float, float] = here.recv()
    process.join()
    print(f"{side.__name__:10} {found[1]:8.1f} s, {found[2]:8.1f} s of processor, peak {found[3]:6.0f} MB", flush=True)
    return found


def main() -> None:
    """Write the data, run all sides, check that the figures are equal, and print the ratios."""
    photos, most = (int(text) for text in sys.argv[1:3]) if len(sys.argv) > 2 else (200, 100)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, photos, most)
        print(f"{photos} photos x {most} detections", flush=True)
        run(nothing, folder)
        mine, other = run(ours, folder), run(theirs, folder)
        run(everything, folder)
    apart = max(abs(mine[0][key] - value) for key, value in other[0].items())
    print(f"largest difference of the {len(other[0])} figures: {apart:.1e}")
    print(f"processor time {other[2] / mine[2]:.1f} times, wall time {other[1] / mine[1]:.1f} times that of ours")


if __name__ == "__main__":
    main()
