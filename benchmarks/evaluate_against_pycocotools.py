"""Compares the time and memory of an evaluation with pycocotools on the same detections.

    python benchmarks/evaluate_against_pycocotools.py --photos 5000 --detections 100 [--record]

Generates ground truth and results. Each side reads the same two files in its own process and computes COCO's metrics
for masks and boxes. The time runs from the files to the metrics, without loading libraries. Peak memory is that of the
whole process; the row `libraries` shows what loading the libraries takes. The row `evaluate` is all that `clothseg
evaluate` computes from results. Half a minute by default, minutes with 5000 photos.
"""

import argparse
import contextlib
import io
import itertools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench_tools import add_record_options, peak_memory, record

Tree = dict[str, Any]
Values = dict[str, float]
SIZE = (384, 512)
CLASSES = 5
DIFFERENT_PHOTOS = 500
METRICS = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large", "AR_1", "AR_10", "AR_100")
PARTS = {"mask": "masks", "box": "boxes"}


def wavy_ellipse(centre: Any, radii: Any, petals: int) -> dict[str, Any]:
    """The `segmentation` and `bbox` of an ellipse with a wavy edge."""
    from clothseg.instances import encode, tight_box  # noqa: PLC0415

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


def make_photo(rng: np.random.Generator, detections: int) -> tuple[list[Tree], list[Tree]]:
    """Generates the annotations and results of one photo.

    Some objects are crowds. Some detections are near an object, some of them duplicates or of a wrong class, and some
    are anywhere.
    """
    from clothseg.instances import mask_area  # noqa: PLC0415

    limit = np.array(SIZE[::-1]) - 1.0
    objects = [
        (rng.uniform(0, limit), rng.uniform(8, 110, 2), int(rng.integers(2, 7)), int(rng.integers(1, CLASSES + 1)))
        for _ in range(int(rng.integers(0, 9)))
    ]
    annotations, results = [], []
    for centre, radii, petals, label in objects:
        ellipse = wavy_ellipse(centre, radii, petals)
        crowd, area = int(rng.random() < 0.05), mask_area(ellipse["segmentation"])
        annotations.append({"category_id": label, "iscrowd": crowd, "area": area} | ellipse)
    for number in range(detections):
        centre, radii, petals, label = rng.uniform(0, limit), rng.uniform(8, 90, 2), 3, int(rng.integers(1, 6))
        if number < 3 * len(objects):
            centre, radii, petals, true_label = objects[number % len(objects)]
            centre = np.clip(centre + rng.normal(0, 0.12, 2) * radii, 0, limit)
            radii = np.maximum(radii * (1 + rng.normal(0, 0.12, 2)), 4)
            label = true_label if rng.random() < 0.85 else label
        results.append({"category_id": label} | wavy_ellipse(centre, radii, petals))
    return annotations, results


def write_data(folder: Path, photos: int, detections: int) -> None:
    """Writes ground truth and results. After 500 photos the shapes repeat, with other scores."""
    rng = np.random.default_rng(0)
    made = [make_photo(rng, detections) for _ in range(min(photos, DIFFERENT_PHOTOS))]
    annotations: list[Tree] = []
    results: list[Tree] = []
    for number in range(1, photos + 1):
        objects, found = made[(number - 1) % len(made)]
        for row in objects:
            annotations.append({"id": len(annotations) + 1, "image_id": number} | row)
        for place, row in enumerate(found):
            score = rng.beta(4, 2) if place < 3 * len(objects) else rng.beta(1, 5)
            results.append({"image_id": number, "score": round(float(score), 3)} | row)
    images = [{"id": n, "height": SIZE[0], "width": SIZE[1]} for n in range(1, photos + 1)]
    categories = [{"id": c, "name": f"class {c}"} for c in range(1, CLASSES + 1)]
    tree = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "truth.json").write_text(json.dumps(tree))
    (folder / "results.json").write_text(json.dumps(results))


def run_clothseg(folder: Path) -> Values:
    """COCO's metrics for masks and boxes by clothseg, with all checks of the input."""
    from clothseg.evaluation import coco  # noqa: PLC0415 - each process loads only what it needs
    from clothseg.evaluation.truth import read_truth  # noqa: PLC0415
    from clothseg.evaluation.validate_results import read_results, validate_results  # noqa: PLC0415

    start_part("files read")
    truth = read_truth(folder / "truth.json")
    rows, _ = validate_results(read_results(folder / "results.json"), truth)
    metrics: dict[str, float | None] = {}
    for kind in coco.FIELDS:
        start_part(PARTS[kind])
        metrics |= coco.overall(kind, coco.run_evaluator(truth, rows, kind))
    return {name: -1.0 if value is None else value for name, value in metrics.items()}


def run_pycocotools(folder: Path) -> Values:
    """COCO's metrics for masks and boxes by pycocotools."""
    from pycocotools.coco import COCO  # noqa: PLC0415
    from pycocotools.cocoeval import COCOeval  # noqa: PLC0415

    metrics: Values = {}
    with contextlib.redirect_stdout(io.StringIO()):
        start_part("files read")
        ground = COCO(str(folder / "truth.json"))
        rows = json.loads((folder / "results.json").read_text())
        for kind, library, dropped in (("mask", "segm", "bbox"), ("box", "bbox", "segmentation")):
            start_part(PARTS[kind])
            found = ground.loadRes([{key: value for key, value in row.items() if key != dropped} for row in rows])
            evaluator = COCOeval(ground, found, library)
            evaluator.evaluate()
            evaluator.accumulate()
            evaluator.summarize()
            metrics |= {f"{kind}_{n}": float(v) for n, v in zip(METRICS, evaluator.stats, strict=False)}
    return metrics


def run_evaluate(folder: Path) -> Values:
    """All metrics of `clothseg evaluate`: also boundary AP, report_mAP, errors by kind, intervals of 500 resamples."""
    from clothseg.evaluation import evaluate_coco  # noqa: PLC0415
    from clothseg.evaluation.validate_results import read_results  # noqa: PLC0415

    start_part("all")
    overall = evaluate_coco(folder / "truth.json", read_results(folder / "results.json")).overall
    return {name: -1.0 if value is None else value for name, value in overall.items()}


def run_nothing(_: Path) -> Values:
    """Evaluates an empty dataset, which shows what loading the libraries takes."""
    from clothseg.evaluation import evaluate_coco  # noqa: PLC0415

    start_part("all")
    evaluate_coco({"images": [], "annotations": [], "categories": []}, [])
    return {}


SIDES = {
    "clothseg": run_clothseg,
    "pycocotools": run_pycocotools,
    "evaluate": run_evaluate,
    "libraries": run_nothing,
}
starts: list[tuple[str, float, float]] = []


def start_part(name: str) -> None:
    """Notes that a part of the work begins now, and the part before it ends."""
    starts.append((name, time.perf_counter(), time.process_time()))


def run_side(side: str, folder: Path) -> None:
    """Runs one side in this process; prints metrics, seconds of each part (wall, processor) and peak MB as JSON."""
    metrics = SIDES[side](folder)
    start_part("")
    parts = [
        (name, wall_end - wall, processor_end - processor)
        for (name, wall, processor), (_, wall_end, processor_end) in itertools.pairwise(starts)
    ]
    print(json.dumps({"metrics": metrics, "parts": parts, "peak": peak_memory() / 1e6}))


def run_process(side: str, folder: Path, *more: str) -> Tree:
    """Runs one side in a new process and prints its times.

    This process loads nothing large: on some systems a new process inherits its peak memory.
    """
    command = [sys.executable, __file__, "--side", side, "--folder", str(folder), *more]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    answer: Tree = json.loads(done.stdout) if done.stdout else {}
    if "parts" in answer:
        answer["wall"], answer["processor"] = (sum(part[n] for part in answer["parts"]) for n in (1, 2))
        print(f"{side:14} {answer['wall']:7.1f} s {answer['processor']:9.1f} s {answer['peak']:9.0f} MB", flush=True)
        for name, wall, processor in answer["parts"] if len(answer["parts"]) > 1 else ():
            print(f"  {name:12} {wall:7.1f} s {processor:9.1f} s", flush=True)
    return answer


def compare(folder: Path, options: argparse.Namespace) -> None:
    """Runs all sides one after the other, checks that the metrics are equal, and prints and records the ratios."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "results.json").is_file():
        run_process("data", folder, "--photos", str(options.photos), "--detections", str(options.detections))
    size = f"{options.photos} photos x {options.detections} detections"
    print(f"{size}: wall time, processor time, peak memory", flush=True)
    mine, other = run_process("clothseg", folder), run_process("pycocotools", folder)
    run_process("evaluate", folder)
    run_process("libraries", folder)
    difference = max(abs(mine["metrics"][name] - value) for name, value in other["metrics"].items())
    print(f"largest difference of the {len(other['metrics'])} metrics: {difference:.1e}")
    ratios = {kind: other[kind] / mine[kind] for kind in ("processor", "wall", "peak")}
    print(
        f"pycocotools takes {ratios['processor']:.1f} times the processor time, {ratios['wall']:.1f} times the wall "
        f"time and {ratios['peak']:.1f} times the memory of clothseg"
    )
    for side, answer in (("clothseg", mine), ("pycocotools", other)):
        for name, _, processor in answer["parts"]:
            record(options, f"{name}, {side}", f"{processor:.1f}", "s")
        record(options, f"total processor time, {side}", f"{answer['processor']:.1f}", "s")
        record(options, f"peak memory, {side}", f"{answer['peak'] / 1000:.1f}", "GB")
    record(
        options, "total processor time ratio, pycocotools / clothseg", f"{ratios['processor']:.1f}", "times",
        f"largest difference of the metrics {difference:.1e}",
    )  # fmt: skip


def main() -> None:
    """Generates the data, runs all sides and prints the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=300, help="number of photos")
    parser.add_argument("--detections", type=int, default=100, help="per photo")
    parser.add_argument("--folder", type=Path, help="keep the generated files here, or use those of an earlier call")
    parser.add_argument("--side", choices=["data", *SIDES], help=argparse.SUPPRESS)
    add_record_options(parser)
    options = parser.parse_args()
    if options.side == "data":
        write_data(options.folder, options.photos, options.detections)
    elif options.side:
        run_side(options.side, options.folder)
    else:
        with tempfile.TemporaryDirectory() as name:
            compare(options.folder or Path(name), options)


if __name__ == "__main__":
    main()
