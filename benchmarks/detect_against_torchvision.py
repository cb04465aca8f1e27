"""Compares the time and memory of detection with torchvision's Mask R-CNN: same weights, same photos.

    python benchmarks/detect_against_torchvision.py                       # input 512, 10 and 100 detections; a minute
    python benchmarks/detect_against_torchvision.py --full --compile      # every case; many minutes
    python benchmarks/detect_against_torchvision.py --size 800 --large --detections 100 --batch 4 --runs 5

Both sides return masks at the photo's size. The weights are random, scaled so that the limit on detections is reached.
Each row of the table has medians over runs that alternate between the two sides, after one run that does not count:
wall time, and processor time of all threads, which is the better measure on a busy machine. Peak memory is that of a
separate process for each side. The ratio is torchvision's time over that of clothseg: above 1, clothseg is faster.
"""

import argparse
import gc
import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torchvision
from torch import Tensor

from bench_tools import add_record_options, peak_memory, record, reset_peak_memory
from clothseg import sample
from clothseg.config import Config
from clothseg.networks import Network, build_network, to_float, to_tensor
from clothseg.photos import read_photo
from clothseg.weights import from_torchvision

CLASSES = 80
SIDES = ("clothseg", "torchvision")


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Attributes:
        size: short side of the network's input.
        large: photos of 1600 x 1200 instead of squares of `size`.
        batch: number of photos.
        detections: limit per photo.
        compiled: clothseg runs compiled.
    """

    size: int
    large: bool
    batch: int
    detections: int
    compiled: bool

    @property
    def photo_size(self) -> tuple[int, int]:
        """Height and width of the photos."""
        return (1200, 1600) if self.large else (self.size, self.size)

    def arguments(self) -> list[str]:
        """The command line arguments of this case."""
        arguments = ["--size", str(self.size), "--batch", str(self.batch), "--detections", str(self.detections)]
        flags = {"--large": self.large, "--compile": self.compiled}
        return arguments + [flag for flag, is_set in flags.items() if is_set]


def build_networks(case: Case, device: str) -> tuple[Network, Any]:
    """Builds the network of clothseg and that of torchvision, with the same weights."""
    torch.manual_seed(0)
    build = torchvision.models.detection.maskrcnn_resnet50_fpn
    sizes = {"min_size": case.size, "max_size": 2 * case.size, "box_detections_per_img": case.detections}
    reference = build(weights=None, weights_backbone=None, num_classes=CLASSES + 1, **sizes).eval()
    with torch.no_grad():
        for module in reference.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.fill_(0.5)
        reference.rpn.head.cls_logits.weight.mul_(30)
        reference.roi_heads.box_predictor.cls_score.weight.mul_(300)
    config = Config().changed("input", min_side=case.size, max_side=2 * case.size)
    config = config.changed("inference", max_detections=case.detections)
    network = build_network(config, CLASSES).eval()
    network.load_state_dict(from_torchvision(reference.state_dict()))
    network, reference = network.to(device), reference.to(device)
    if case.compiled and (reason := network.compile_for_inference()):
        sys.exit(f"this machine cannot compile: {reason}")
    return network, reference


def load_photos(case: Case, device: str) -> list[Tensor]:
    """Loads the photos of the batch: one photo of the sample, resized and shifted."""
    paths = sorted((sample.folder() / "validation").glob("*.jpg"))
    first = to_float(to_tensor(read_photo(paths[0])))
    resized = torch.nn.functional.interpolate(first[None], case.photo_size, mode="bilinear")[0]
    return [resized.roll(37 * number, 2).to(device) for number in range(case.batch)]


def run_clothseg(network: Network, images: list[Tensor]) -> list[Tensor]:
    """Detects, and returns the masks of each photo."""
    return [found.masks.pixels() for found in network.detect(images)]


def run_torchvision(network: Any, images: list[Tensor]) -> list[Tensor]:
    """Detects, and returns the masks of each photo."""
    return [found["masks"][:, 0] > 0.5 for found in network(images)]


def time_call(run: Callable[[], list[Tensor]], device: str) -> tuple[float, float, int]:
    """Wall time and processor time of one call in seconds, and the number of masks that it returns."""
    if device == "cuda":
        torch.cuda.synchronize()
    wall, processor = time.perf_counter(), time.process_time()
    masks = run()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - wall, time.process_time() - processor, sum(len(m) for m in masks)


def measure_peak(case: Case, side: str, device: str) -> float:
    """Peak memory in MB of a new process that runs one side once."""
    command = [sys.executable, __file__, *case.arguments(), "--device", device, "--only", side]
    return float(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))


def run_one_side(case: Case, side: str, device: str) -> None:
    """Runs one side once and prints the peak memory of this process, or of the GPU, in MB."""
    network, reference = build_networks(case, device)
    images = load_photos(case, device)
    if side == "clothseg":
        del reference
    else:
        del network
    gc.collect()
    reset_peak_memory()  # building two networks does not count
    with torch.no_grad():
        run_clothseg(network, images) if side == "clothseg" else run_torchvision(reference, images)
    print(json.dumps((torch.cuda.max_memory_allocated() if device == "cuda" else peak_memory()) / 1e6))


def measure(case: Case, options: argparse.Namespace) -> str:
    """Measures one case, records it, and returns its row of the table."""
    device = options.device
    network, reference = build_networks(case, device)
    images = load_photos(case, device)
    calls = (lambda: run_clothseg(network, images), lambda: run_torchvision(reference, images))
    with torch.no_grad():
        rounds = [[time_call(call, device) for call in calls] for _ in range(options.runs + 1)][1:]
    counts = [masks for _, _, masks in rounds[0]]
    height, width = case.photo_size
    mode = "compile" if case.compiled else "default"
    name = f"input {case.size}, photos {width}x{height}, batch {case.batch}, {counts[0]} masks, {mode}"
    gpu = torch.cuda.get_device_name() if device == "cuda" else ""
    note = f"median of {options.runs} runs"
    cells = [str(case.size), f"{width}x{height}", str(case.batch), "/".join(map(str, counts)), mode]
    for column, clock in enumerate(("wall", "processor")):
        seconds = [statistics.median(one[side][column] for one in rounds) for side in (0, 1)]
        ratio = seconds[1] / seconds[0]
        cells.append(f"{seconds[0]:.2f} / {seconds[1]:.2f} s: **{ratio:.2f}**")
        for side, value in zip(SIDES, seconds, strict=True) if clock == "wall" else ():
            record(options, f"{name}: time, {side}", f"{value:.2f}", "s", note, gpu)
        record(options, f"{name}: {clock} time ratio, torchvision / clothseg", f"{ratio:.2f}", "times", note, gpu)
    peaks = [measure_peak(case, side, device) for side in SIDES] if options.memory else []
    for side, peak in zip(SIDES, peaks, strict=False):
        record(options, f"{name}: peak memory, {side}", f"{peak:.0f}", "MB", "", gpu)
    cells.append(" / ".join(f"{peak:.0f}" for peak in peaks) + " MB" if peaks else "-")
    return f"| {' | '.join(cells)} |"


def choose_cases(options: argparse.Namespace) -> list[Case]:
    """The case of the options; with 10 and with 100 detections if they name no number; every case with `--full`."""
    if options.full:
        compiled = (False, True) if options.compile else (False,)
        return [
            Case(800 if large else 512, large, batch, count, mode)
            for large, batch, count, mode in itertools.product((False, True), (1, 4), (10, 100), compiled)
        ]
    counts = (10, 100) if options.detections is None else (options.detections,)
    return [Case(options.size, options.large, options.batch, count, options.compile) for count in counts]


def main() -> None:
    """Runs both sides and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512, help="short side of the network's input")
    parser.add_argument("--large", action="store_true", help="photos of 1600 x 1200")
    parser.add_argument("--detections", type=int, help="limit per photo; default: 10, then 100")
    parser.add_argument("--batch", type=int, default=1, help="photos per call")
    parser.add_argument("--runs", type=int, default=3, help="runs of each side")
    parser.add_argument("--compile", action="store_true", help="run clothseg compiled; with --full both ways")
    parser.add_argument("--full", action="store_true", help="all sizes, batches and limits")
    parser.add_argument("--memory", action=argparse.BooleanOptionalAction, default=True, help="measure peak memory")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu or cuda")
    parser.add_argument("--only", choices=SIDES, help=argparse.SUPPRESS)
    add_record_options(parser)
    options = parser.parse_args()
    cases = choose_cases(options)
    if options.only:
        run_one_side(cases[0], options.only, options.device)
        return
    print(f"{options.device}, {torch.get_num_threads()} threads; clothseg / torchvision: **ratio**\n")
    print("| input | photos | batch | masks | mode | wall time | processor time | peak memory |")
    print("|---|---|---|---|---|---|---|---|")
    for case in cases:
        print(measure(case, options), flush=True)


if __name__ == "__main__":
    main()
