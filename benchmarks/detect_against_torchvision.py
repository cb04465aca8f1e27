"""How long does detection take beside torchvision's own Mask R-CNN, with the same weights on the same photos?

Both give masks at the photo's size. Weights are random, brought to a range where the wanted number of detections comes
out. Compared are wall time and the processor time of all threads (which says more on a busy machine), as medians over
runs in turn, and the largest memory of a process of its own for each. Each line of the table is one case:

    python benchmarks/detect_against_torchvision.py                       # small inputs, 10 and 100 detections
    python benchmarks/detect_against_torchvision.py --full --compile      # every case; many minutes
    python benchmarks/detect_against_torchvision.py --size 800 --large --detections 100 --batch 4 --runs 5
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
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor

from clothseg import sample
from clothseg.config import Config
from clothseg.dataset import to_tensor
from clothseg.networks import Network, build_network
from clothseg.photos import read_photo
from clothseg.weights import from_torchvision
from memory_of_a_process import largest_memory

CLASSES = 80


def networks(words: argparse.Namespace) -> tuple[Any, Network]:
    """Torchvision's and ours, with the same weights."""
    torch.manual_seed(0)
    made = torchvision.models.detection.maskrcnn_resnet50_fpn
    sizes = {"min_size": words.size, "max_size": 2 * words.size, "box_detections_per_img": words.detections}
    theirs = made(weights=None, weights_backbone=None, num_classes=CLASSES + 1, **sizes).eval()
    with torch.no_grad():
        for module in theirs.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.fill_(0.5)
        theirs.rpn.head.cls_logits.weight.mul_(30)
        theirs.roi_heads.box_predictor.cls_score.weight.mul_(300)
    config = Config().changed("input", min_side=words.size, max_side=2 * words.size)
    config = config.changed("inference", max_detections=words.detections, channels_last=words.channels_last)
    ours = build_network(config, CLASSES).eval()
    ours.load_state_dict(from_torchvision(theirs.state_dict()))
    theirs, ours = theirs.to(words.device), ours.to(words.device)
    if words.compile and (reason := ours.compile_for_inference()):
        sys.exit(f"this machine cannot compile: {reason}")
    return theirs, ours


def photos(words: argparse.Namespace) -> list[Tensor]:
    """As many as the batch, all of one photo's size, or enlarged to 1600 x 1200."""
    paths = sorted((sample.folder() / "validation").glob("*.jpg"))
    first = to_tensor(read_photo(paths[0]))
    size = (1200, 1600) if words.large else (words.size, words.size)
    resized = torch.nn.functional.interpolate(first[None], size, mode="bilinear")[0]
    return [resized.roll(37 * number, 2).to(words.device) for number in range(words.batch)]


def run_ours(network: Network, images: list[Tensor]) -> list[Tensor]:
    """Masks of all photos."""
    return [found.masks.pixels() for found in network.detect(images)]


def run_theirs(network: Any, images: list[Tensor]) -> list[Tensor]:
    """Masks of all photos."""
    return [found["masks"][:, 0] > 0.5 for found in network(images)]


def measured(run: Callable[[], list[Tensor]], device: str) -> tuple[float, float, int]:
    """Wall time and processor time of one call, and how many masks it gave."""
    if device == "cuda":
        torch.cuda.synchronize()
    wall, processor = time.perf_counter(), time.process_time()
    masks = run()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - wall, time.process_time() - processor, sum(len(m) for m in masks)


def peak(words: argparse.Namespace, which: str) -> float:
    """MB of a process that runs one of both once."""
    case = ["--size", words.size, "--detections", words.detections, "--batch", words.batch, "--device", words.device]
    case += ["--large"] * words.large + ["--compile"] * words.compile + ["--channels-last"] * words.channels_last
    command = [sys.executable, __file__, *map(str, case), "--alone", which]
    return float(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))


def run_alone(words: argparse.Namespace) -> None:
    """Run one of both once and print the largest memory of this process meanwhile in MB, or of the GPU."""
    theirs, ours = networks(words)
    images = photos(words)
    if words.alone == "ours":
        del theirs
    else:
        del ours
    gc.collect()
    forgotten = Path("/proc/self/clear_refs")
    if forgotten.exists():  # Linux: the making of two networks does not count
        forgotten.write_text("5")
    with torch.no_grad():
        run_ours(ours, images) if words.alone == "ours" else run_theirs(theirs, images)
    on_gpu = words.device == "cuda"
    print(json.dumps((torch.cuda.max_memory_allocated() if on_gpu else largest_memory()) / 1e6))


def row(words: argparse.Namespace) -> str:
    """One line of the table."""
    theirs, ours = networks(words)
    images = photos(words)
    calls = (lambda: run_ours(ours, images), lambda: run_theirs(theirs, images))
    with torch.no_grad():
        rounds = [[measured(call, words.device) for call in calls] for _ in range(words.runs + 1)][1:]
    cells = [str(words.size), "x".join(map(str, images[0].shape[:0:-1])), str(words.batch)]
    cells += ["/".join(str(masks) for _, _, masks in rounds[0]), "yes" if words.compile else "no"]
    for place in (0, 1):
        mine, other = (statistics.median(one[which][place] for one in rounds) for which in (0, 1))
        cells.append(f"{mine:.2f} / {other:.2f} s: **{other / mine:.2f}**")
    cells.append(" / ".join(f"{peak(words, which):.0f} MB" for which in ("ours", "theirs")) if words.memory else "-")
    return f"| {' | '.join(cells)} |"


def cases(words: argparse.Namespace) -> list[argparse.Namespace]:
    """The cases asked for: the one given, the two default ones, or all."""
    if words.full:
        grid = itertools.product((False, True), (1, 4), (10, 100), (False, True) if words.compile else (False,))
    elif words.detections is None:
        grid = itertools.product((words.large,), (words.batch,), (10, 100), (words.compile,))
    else:
        return [words]
    return [
        argparse.Namespace(
            **vars(words)
            | {"large": large, "batch": batch, "detections": detections, "compile": compiled}
            | ({"size": 800 if large else 512} if words.full else {})
        )
        for large, batch, detections, compiled in grid
    ]


def main() -> None:
    """Run both in turn and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--size", type=int, default=512, help="short side of the network's input")
    parser.add_argument("--large", action="store_true", help="photos of 1600 x 1200")
    parser.add_argument("--detections", type=int, help="how many at most; 10 and 100 by default")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--compile", action="store_true", help="compile ours")
    parser.add_argument("--channels-last", action="store_true", help="ours with inference.channels_last")
    parser.add_argument("--full", action="store_true", help="all sizes, batches and numbers of detections")
    parser.add_argument("--memory", action=argparse.BooleanOptionalAction, default=True, help="also the largest memory")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--alone", choices=("ours", "theirs"), help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.alone:
        run_alone(words)
        return
    print(f"{words.device}, {torch.get_num_threads()} threads; ours / torchvision's: how many times as fast ours is\n")
    print("| input | photos | batch | masks | compiled | wall time | processor time | memory |")
    print("|---|---|---|---|---|---|---|---|")
    for case in cases(words):
        print(row(case), flush=True)


if __name__ == "__main__":
    main()
