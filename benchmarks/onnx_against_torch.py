"""An exported network by onnxruntime against the same network by PyTorch, on the same photos, one after the other.

    python benchmarks/onnx_against_torch.py RUN MODEL.onnx PHOTOS [--photos 20] [--record]

RUN is a run's folder and MODEL.onnx what `clothseg export` made of it. The processor time of each photo is measured for
both in turn, with one thread, from pixels to instances, and then with their masks as run lengths. So other work on the
machine changes both. Medians over the photos. A minute.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from bench_tools import add_record_options, record
from clothseg.dataset.photo_search import find_photos
from clothseg.exported import ExportedModel
from clothseg.models import Model
from clothseg.photos import RgbImage, read_photo


def seconds(find: Callable[[RgbImage], Any], photo: RgbImage) -> tuple[float, float]:
    """Processor time from pixels to instances, and to run lengths."""
    begun = time.process_time()
    found = find(photo)
    between = time.process_time()
    found.masks.rle()
    return between - begun, time.process_time() - begun


def main() -> None:
    """Measures and prints the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("onnx", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=20)
    add_record_options(parser)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = Model.load(options.run, device="cpu")
    exported = ExportedModel.load(options.onnx, threads=1)
    photos = [read_photo(path) for path in find_photos([options.folder])[: options.photos]]
    name = f"{model.config.network.name}, {exported.metadata.numbers}"
    for find in (model.predict, exported.find):
        find(photos[0])  # the first call prepares
    pairs = [(seconds(model.predict, photo), seconds(exported.find, photo)) for photo in photos]
    for number, what in enumerate(("instances", "with run lengths")):
        with_torch, with_onnx = (statistics.median(pair[side][number] for pair in pairs) for side in (0, 1))
        ratio = statistics.median(pair[0][number] / pair[1][number] for pair in pairs)
        print(f"{name}, {what}: torch {with_torch * 1000:.0f} ms, ONNX {with_onnx * 1000:.0f} ms, {ratio:.2f} times")
        note = f"{len(photos)} photos in pairs, one thread, processor time"
        record(options, f"{name}: torch, {what}", with_torch * 1000, "ms", note)
        record(options, f"{name}: ONNX, {what}", with_onnx * 1000, "ms", note)
        record(options, f"{name}: torch / ONNX, {what}", ratio, "times", note)


if __name__ == "__main__":
    main()
