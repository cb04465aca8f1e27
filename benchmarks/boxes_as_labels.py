"""What boxes without masks are worth: N photos with masks alone, with the boxes of all others too, and all masks.

Takes a dataset with masks and writes three of them, which share photos and validation:

- `masks`: N photos of the training split, with masks; the others are left out;
- `boxes`: the same, and all other photos with boxes and without masks;
- `all`: every photo with its masks.

The N photos are drawn by seed, so that each class has its share. Every variant trains for the same number of steps with
the same schedule, once for each seed. Validation photos always have masks. The figures are means over the seeds; the
intervals are those of a paired bootstrap over the validation photos, each sample the same for all runs.

    python benchmarks/boxes_as_labels.py data/clothes --out work --masks 50 --config small --steps 2000 --seeds 3
    python benchmarks/boxes_as_labels.py data/clothes --out work --print      # only writes the datasets
"""

import argparse
import json
import os
import random
import shlex
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_tools import add_record_options, record
from clothseg.config import Config
from clothseg.dataset.reading import choose_split, find_layout, read_coco_file
from clothseg.evaluation.evaluate import metrics_for_resampling
from clothseg.evaluation.intervals import ResampledMetrics, draws, percentile_interval
from clothseg.evaluation.stored import stored_results
from clothseg.evaluation.truth import read_truth
from clothseg.weights.automatic import with_initial_weights

VARIANTS = ("masks", "boxes", "all")
METRICS = ("mask_AP", "mask_AP50", "boundary_AP", "box_AP", "box_AP50", "report_mAP")
CALIBRATION = 20  # steps that are timed for --minutes
Tree = dict[str, Any]


def draw_photos(tree: Tree, count: int, seed: int) -> set[int]:
    """Ids of `count` photos with masks. The next one always has the class of which the smallest part is drawn."""
    classes: dict[int, set[int]] = {}
    for row in tree["annotations"]:
        if not row["iscrowd"]:
            classes.setdefault(row["image_id"], set()).add(row["category_id"])
    waiting = sorted(classes)
    random.Random(seed).shuffle(waiting)
    totals = Counter(label for labels in classes.values() for label in labels)
    taken: Counter[int] = Counter()
    chosen: set[int] = set()
    while waiting and len(chosen) < count:
        left = {label for photo in waiting for label in classes[photo]}
        rarest = min(left, key=lambda label: (taken[label] / totals[label], label))
        photo = next(photo for photo in waiting if rarest in classes[photo])
        waiting.remove(photo)
        chosen.add(photo)
        taken.update(classes[photo])
    return chosen


def variant_of(tree: Tree, name: str, with_masks: set[int]) -> Tree:
    """The training file of a variant. Crowds keep their masks: they are regions to ignore."""
    if name == "all":
        return tree
    if name == "masks":
        images = [row for row in tree["images"] if row["id"] in with_masks]
        return tree | {
            "images": images,
            "annotations": [row for row in tree["annotations"] if row["image_id"] in with_masks],
        }
    rows = [
        row if row["iscrowd"] or row["image_id"] in with_masks else {**row, "segmentation": []}
        for row in tree["annotations"]
    ]
    return tree | {"annotations": rows}


def write_variants(data: Path, out: Path, count: int, seed: int) -> dict[str, Path]:
    """Writes the three datasets below `out`, photos as hard links where that is possible."""
    layout = find_layout(data)
    trees: dict[str, Tree] = {}
    photos: dict[str, Path] = {}
    for split in ("train", "val"):
        files = choose_split(layout, split)
        read = read_coco_file(files.annotations, files.photos)
        images = []
        for row in read.images:
            name = f"{split}-{row['id']}{read.paths[row['id']].suffix}"
            photos[name] = read.paths[row["id"]]
            images.append({**row, "file_name": name})
        trees[split] = {"images": images, "annotations": read.annotations, "categories": read.categories}
    with_masks = draw_photos(trees["train"], count, seed)
    folders = {}
    for name in VARIANTS:
        folder = folders[name] = out / f"data-{name}-{count}-{seed}"
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "annotations").mkdir(parents=True)
        (folder / "images").mkdir()
        train = variant_of(trees["train"], name, with_masks)
        for split, tree in (("train", train), ("val", trees["val"])):
            (folder / "annotations" / f"{split}.json").write_text(json.dumps(tree), encoding="utf-8")
            for row in tree["images"]:
                link(photos[row["file_name"]], folder / "images" / row["file_name"])
    return folders


def link(source: Path, target: Path) -> None:
    """A hard link, or a copy where there can be none."""
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)


def commands(options: argparse.Namespace, data: Path, run: Path, seed: int, steps: int) -> list[list[str]]:
    """The commands that train and evaluate one run: the schedule of the config, stretched to `steps`."""
    # For no class, `auto` means ImageNet's weights: others may know the labels that are taken away here.
    config = with_initial_weights(Config.load(options.config, options.set), ())
    per_epoch = max(round(steps / config.train.epochs), 1)
    clothseg = [sys.executable, "-m", "clothseg"]
    settings = [*options.set, f"weights={config.weights}", f"train.steps_per_epoch={per_epoch}", f"train.seed={seed}"]
    sets = [part for setting in settings for part in ("--set", setting)]
    fit = [*clothseg, "fit", str(data), "--out", str(run), "--config", options.config, *sets, "--overwrite", "--quiet"]
    return [fit, [*clothseg, "evaluate", str(run), str(data), "--quiet"]]


def steps_for(options: argparse.Namespace, data: Path, run: Path) -> int:
    """How many steps take `--minutes`, from the times of two short trainings."""
    seconds = []
    for steps in (CALIBRATION, 3 * CALIBRATION):
        begun = time.perf_counter()
        subprocess.run(commands(options, data, run, 0, steps)[0], check=True)
        seconds.append(time.perf_counter() - begun)
    shutil.rmtree(run, ignore_errors=True)
    return max(int(60 * options.minutes / (max(seconds[1] - seconds[0], 1e-3) / (2 * CALIBRATION))), 1)


def gather(options: argparse.Namespace, runs: Mapping[str, Sequence[Path]], truth_file: Path) -> None:
    """Prints and records the means over the seeds, and the differences with their intervals."""
    truth = read_truth(truth_file)
    sides: dict[str, list[ResampledMetrics]] = {
        name: [metrics_for_resampling(truth, stored_results(run, truth).rows, 0.05) for run in of_name]
        for name, of_name in runs.items()
    }

    def values(counts: NDArray[np.int64]) -> dict[str, dict[str, NDArray[np.float64]]]:
        found = {name: [side.of(counts) for side in of_name] for name, of_name in sides.items()}
        return {name: {m: np.mean([v[m] for v in of_name], axis=0) for m in METRICS} for name, of_name in found.items()}

    photos = len(truth.photos)
    once = values(np.ones((1, photos), dtype=np.int64))
    drawn = values(np.concatenate(list(draws(photos, options.resamples, 0))))
    note = f"{options.config}, {options.masks} masks, {len(runs['all'])} seeds, {len(truth.photos)} validation photos"

    def show(name: str, value: NDArray[np.float64], sampled: NDArray[np.float64]) -> None:
        interval = percentile_interval(sampled, 0.95, 0)
        text = f"[{100 * interval.low:.1f}, {100 * interval.high:.1f}]" if interval else "[-]"
        print(f"{name:<40} {100 * value[0]:6.1f} {text}")
        record(options, name, 100 * value[0], "%", f"95 % interval {text}; {note}")

    for metric in METRICS:
        for name in VARIANTS:
            show(f"{name}: {metric}", once[name][metric], drawn[name][metric])
        for one, other in (("masks", "boxes"), ("boxes", "all")):
            show(f"{other} minus {one}: {metric}", *(v[other][metric] - v[one][metric] for v in (once, drawn)))
        shares = (v["boxes"][metric] / np.maximum(v["all"][metric], 1e-9) for v in (once, drawn))
        show(f"boxes as a part of all: {metric}", *shares)


def main() -> None:
    """Writes the datasets, then prints the commands or runs them and gathers the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a dataset with masks, with train and val")
    parser.add_argument("--out", type=Path, required=True, help="folder for datasets and runs")
    parser.add_argument("--masks", type=int, default=50, help="photos that keep their masks")
    parser.add_argument("--config", default="small")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="changes the config")
    parser.add_argument("--seeds", type=int, default=3)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=int, help="of each training; by default so many that each has --minutes")
    length.add_argument("--minutes", type=float, default=30.0, help="of the training with all masks")
    parser.add_argument("--resamples", type=int, default=500)
    parser.add_argument("--print", action="store_true", help="write the datasets, print the commands, run nothing")
    add_record_options(parser)
    options = parser.parse_args()
    runs: dict[str, list[Path]] = {name: [] for name in VARIANTS}
    steps = options.steps
    for seed in range(options.seeds):
        folders = write_variants(options.data, options.out, options.masks, seed)
        if steps is None and not options.print:
            steps = steps_for(options, folders["all"], options.out / "calibration")
            print(f"{steps} steps in {options.minutes:g} minutes")
        for name, folder in folders.items():
            run = options.out / f"run-{name}-{options.masks}-{seed}"
            runs[name].append(run)
            for command in commands(options, folder, run, seed, steps or 1000):
                if options.print:
                    print(shlex.join(["clothseg", *command[3:]]))
                else:
                    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    if not options.print:
        gather(options, runs, options.out / f"data-all-{options.masks}-0" / "annotations" / "val.json")


if __name__ == "__main__":
    main()
