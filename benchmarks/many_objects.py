"""Memory and time of making one training example of a large photo with many objects.

    python benchmarks/many_objects.py [--objects 100] [--record]

Each setting runs in its own process: a photo of 2000 x 1500 pixels, objects of 30 to 400 pixels, the preset `small`.
Memory is the rise of the process's peak after the libraries are loaded; time is processor time of the second of two
examples. Half a minute.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from bench_tools import add_record_options, peak_memory, record
from clothseg import CocoLikeDataset, Config
from clothseg.dataset import load_example
from clothseg.instances import encode
from clothseg.networks import input_transform

HEIGHT, WIDTH = 1500, 2000
SETTINGS = {
    "augmented": ("augment.copy_paste=0",),
    "augmented, copy-paste": ("augment.copy_paste=1",),
    "augmented, piecewise affine": (
        "augment.copy_paste=0",
        "augment.piecewise_affine.max=0.05",
        "augment.piecewise_affine.p=1",
    ),
}


def dataset_of(objects: int, folder: Path) -> CocoLikeDataset:
    """Two entries of one photo of noise with rectangles as masks."""
    generator = np.random.default_rng(0)
    photo = folder / "photo.jpg"
    Image.fromarray(generator.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)).save(photo)
    rows = []
    for number in range(1, objects + 1):
        mask = np.zeros((HEIGHT, WIDTH), dtype=np.bool_)
        y, x, side = generator.integers(HEIGHT - 80), generator.integers(WIDTH - 80), generator.integers(30, 400)
        mask[y : y + side, x : x + side] = True
        rows.append({"id": number, "image_id": 1, "category_id": 1, "segmentation": encode(mask)})
    dataset = CocoLikeDataset()
    dataset.add_class("coco", 1, "Dress")
    for number in (1, 2):
        dataset.add_image(number, photo, HEIGHT, WIDTH, rows)  # type: ignore[arg-type]
    return dataset.prepare()


def measure(name: str, objects: int) -> None:
    """Makes two examples, and prints bytes and seconds."""
    torch.set_num_threads(1)
    config = Config.load("small", list(SETTINGS[name]))
    transform = input_transform(config)
    with tempfile.TemporaryDirectory() as folder:
        dataset = dataset_of(objects, Path(folder))
        before, seconds = peak_memory(), 0.0
        for version in (1, 2):
            begun = time.process_time()
            transform.prepare(*load_example(dataset, 0, config.augment, version))
            seconds = time.process_time() - begun
    print(peak_memory() - before, seconds)


def main() -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=100)
    parser.add_argument("--only", choices=SETTINGS, help="measure one setting in this process")
    add_record_options(parser)
    options = parser.parse_args()
    if options.only:
        measure(options.only, options.objects)
        return
    print(f"| {options.objects} objects | memory | bytes a pixel and mask | time |\n|---|---|---|---|")
    for name in SETTINGS:
        command = [sys.executable, __file__, "--only", name, "--objects", str(options.objects)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        taken, seconds = map(float, done.stdout.split())
        each = taken / (options.objects * HEIGHT * WIDTH)
        print(f"| {name} | {taken / 1e6:.0f} MB | {each:.2f} | {seconds:.2f} s |")
        note = f"{options.objects} objects, {HEIGHT} x {WIDTH}"
        record(options, f"{name}: memory", taken / 1e6, "MB", note)
        record(options, f"{name}: time", seconds, "s", note)


if __name__ == "__main__":
    main()
