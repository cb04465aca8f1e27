"""How long does an evaluation take, and how much memory, beside pycocotools on the same detections?

    python benchmarks/evaluate_against_pycocotools.py --photos 5000 --detections 100

Each side reads the same two files in a process of its own, and is timed from the files to the figures of masks and
boxes, without the time that its libraries take to load. Peak memory is that of the whole process; what the libraries
alone take is given too.
"""

import argparse
import contextlib
import io
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

Tree = dict[str, Any]
Figures = dict[str, float]
SIZE = (384, 512)
CLASSES = 5
DRAWN = 500  # photos with shapes of their own
FIGURES = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large", "AR_1", "AR_10", "AR_100")


def shape(centre: Any, radii: Any, petals: int) -> dict[str, Any]:
    """A wavy ellipse as segmentation and bbox."""
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


def photo(rng: np.random.Generator, most: int) -> tuple[list[Tree], list[Tree]]:
    """Objects of one photo, crowds among them, and detections near them, twice, in wrong classes, and elsewhere."""
    from clothseg.instances import mask_area  # noqa: PLC0415

    limit = np.array(SIZE[::-1]) - 1.0
    objects = [
        (rng.uniform(0, limit), rng.uniform(8, 110, 2), int(rng.integers(2, 7)), int(rng.integers(1, CLASSES + 1)))
        for _ in range(int(rng.integers(0, 9)))
    ]
    annotations, results = [], []
    for centre, radii, petals, label in objects:
        drawn = shape(centre, radii, petals)
        crowd, area = int(rng.random() < 0.05), mask_area(drawn["segmentation"])
        annotations.append({"category_id": label, "iscrowd": crowd, "area": area} | drawn)
    for number in range(most):
        centre, radii, petals, label = rng.uniform(0, limit), rng.uniform(8, 90, 2), 3, int(rng.integers(1, 6))
        if number < 3 * len(objects):
            centre, radii, petals, right = objects[number % len(objects)]
            centre = np.clip(centre + rng.normal(0, 0.12, 2) * radii, 0, limit)
            radii = np.maximum(radii * (1 + rng.normal(0, 0.12, 2)), 4)
            label = right if rng.random() < 0.85 else label
        results.append({"category_id": label} | shape(centre, radii, petals))
    return annotations, results


def write(folder: Path, photos: int, most: int) -> None:
    """Files of truth and results; from the 500th photo on the shapes come again, with other scores."""
    rng = np.random.default_rng(0)
    drawn = [photo(rng, most) for _ in range(min(photos, DRAWN))]
    annotations: list[Tree] = []
    results: list[Tree] = []
    for number in range(1, photos + 1):
        objects, found = drawn[(number - 1) % len(drawn)]
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


def ours(folder: Path) -> Figures:
    """The evaluator's COCO figures for masks and boxes, with all checks of the input."""
    from clothseg.evaluation import coco  # noqa: PLC0415 - each process loads only what it needs
    from clothseg.evaluation.truth import read_truth  # noqa: PLC0415
    from clothseg.evaluation.validate_results import read_results, validate_results  # noqa: PLC0415

    begin("files read and checked")
    truth = read_truth(folder / "truth.json")
    rows, _ = validate_results(read_results(folder / "results.json"), truth)
    answer: dict[str, float | None] = {}
    for kind in coco.FIELDS:
        begin(kind)
        answer |= coco.overall(kind, coco.run_evaluator(truth, rows, kind))
    return {name: -1.0 if value is None else value for name, value in answer.items()}


def theirs(folder: Path) -> Figures:
    """pycocotools' figures for masks and boxes."""
    from pycocotools.coco import COCO  # noqa: PLC0415
    from pycocotools.cocoeval import COCOeval  # noqa: PLC0415

    answer: Figures = {}
    with contextlib.redirect_stdout(io.StringIO()):
        begin("files read")
        ground = COCO(str(folder / "truth.json"))
        rows = json.loads((folder / "results.json").read_text())
        for kind, library, dropped in (("mask", "segm", "bbox"), ("box", "bbox", "segmentation")):
            begin(kind)
            found = ground.loadRes([{key: value for key, value in row.items() if key != dropped} for row in rows])
            evaluator = COCOeval(ground, found, library)
            evaluator.evaluate()
            evaluator.accumulate()
            evaluator.summarize()
            answer |= {f"{kind}_{n}": float(v) for n, v in zip(FIGURES, evaluator.stats, strict=False)}
    return answer


def everything(folder: Path) -> Figures:
    """All that `clothseg evaluate` says of a results file: boundaries, report_mAP, mistakes, 500 resamples."""
    from clothseg.evaluation import evaluate_coco  # noqa: PLC0415
    from clothseg.evaluation.validate_results import read_results  # noqa: PLC0415

    begin("from files to figures")
    overall = evaluate_coco(folder / "truth.json", read_results(folder / "results.json")).overall
    return {name: -1.0 if value is None else value for name, value in overall.items()}


def nothing(_: Path) -> Figures:
    """Only what loading the libraries takes."""
    from clothseg.evaluation import evaluate_coco  # noqa: PLC0415

    begin("an evaluation of nothing")
    evaluate_coco({"images": [], "annotations": [], "categories": []}, [])
    return {}


SIDES = {side.__name__: side for side in (ours, theirs, everything, nothing)}
_laps: list[tuple[str, float, float]] = []


def begin(name: str) -> None:
    """A part of the work begins here, and the one before it ends."""
    _laps.append((name, time.perf_counter(), time.process_time()))


def measure(side: str, folder: Path) -> None:
    """Run one side; write its figures, seconds of each part (wall, processor) and peak memory in MB as JSON."""
    figures = SIDES[side](folder)
    begin("")
    parts = [
        (name, wall - was, processor - used) for (name, was, used), (_, wall, processor) in itertools.pairwise(_laps)
    ]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"figures": figures, "parts": parts, "peak": peak}))


def run(side: str, folder: Path, *more: str) -> Tree:
    """`side` in a fresh process that loads only what it needs; this one stays small, for a child inherits its peak."""
    done = subprocess.run(
        [sys.executable, __file__, "--side", side, "--folder", str(folder), *more],
        stdout=subprocess.PIPE,
        check=True,
    )
    answer: Tree = json.loads(done.stdout) if done.stdout else {}
    if "parts" in answer:
        answer["wall"], answer["processor"] = (sum(part[n] for part in answer["parts"]) for n in (1, 2))
        print(f"{side:10} {answer['wall']:7.1f} s {answer['processor']:9.1f} s {answer['peak']:9.0f} MB", flush=True)
        for name, wall, processor in answer["parts"] if len(answer["parts"]) > 1 else ():
            print(f"  {name:22} {wall:7.1f} s {processor:9.1f} s", flush=True)
    return answer


def main() -> None:
    """Write the data, run all sides, check that the figures are equal, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=300)
    parser.add_argument("--detections", type=int, default=100, help="of each photo")
    parser.add_argument("--folder", type=Path, help="keep the generated files here, or take those that are there")
    parser.add_argument("--side", choices=["data", *SIDES], help="only this one, in this process")
    given = parser.parse_args()
    if given.side == "data":
        write(given.folder, given.photos, given.detections)
    elif given.side:
        measure(given.side, given.folder)
    else:
        with tempfile.TemporaryDirectory() as name:
            compare(given.folder or Path(name), given.photos, given.detections)


def compare(folder: Path, photos: int, most: int) -> None:
    """All sides, one after the other."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "results.json").is_file():
        run("data", folder, "--photos", str(photos), "--detections", str(most))
    print(f"{photos} photos x {most} detections: wall time, processor time, peak memory", flush=True)
    mine, other = run("ours", folder), run("theirs", folder)
    run("everything", folder)
    run("nothing", folder)
    apart = max(abs(mine["figures"][key] - value) for key, value in other["figures"].items())
    print(f"largest difference of the {len(other['figures'])} figures: {apart:.1e}")
    print(
        f"pycocotools takes {other['processor'] / mine['processor']:.1f} times the processor time, "
        f"{other['wall'] / mine['wall']:.1f} times the wall time, {other['peak'] / mine['peak']:.1f} times the memory"
    )


if __name__ == "__main__":
    main()
