"""How long does detection take beside torchvision's own Mask R-CNN, with the same weights on the same photos?

Both give masks at the photo's size. Weights are random, brought to a range where the wanted number of detections comes
out. Compared are wall time and the processor time of all threads (which says more on a busy machine), as medians over
runs in turn, and the largest memory of a process of its own for each.

    python benchmarks/detect_against_torchvision.py --size 512 --detections 10 --batch 1 --runs 5 [--compile]
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
import torchvision
from torch import Tensor

from clothseg import sample
from clothseg.config import Config
from clothseg.dataset import to_tensor
from clothseg.networks import MaskRCNNNetwork, build_network
from clothseg.photos import read_photo
from clothseg.weights import from_torchvision

CLASSES = 80


def networks(words: argparse.Namespace) -> tuple[Any, MaskRCNNNetwork]:
    """Torchvision's and ours, with the same weights."""
    torch.manual_seed(0)
    made = torchvision.models.detection.maskrcnn_resnet50_fpn
    sizes = {"min_size": words.size, "max_size": 2 * words.size, "box_detections_per_img": words.detections}
    theirs = made(weights=None, weights_backbone=None, num_classes=CLASSES + 1, box_score_thresh=0.0, **sizes).eval()
    with torch.no_grad():
        for module in theirs.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.fill_(0.5)
        for part in (theirs.roi_heads.box_predictor.cls_score, theirs.rpn.head.cls_logits):
            part.weight.mul_(30)
    config = Config()
    config.picture.min_side, config.picture.max_side = words.size, 2 * words.size
    config.detect.min_confidence, config.detect.max_detections = 0.0, words.detections
    ours = build_network(config, CLASSES).eval()
    ours.load_state_dict(from_torchvision(theirs.state_dict()))
    if words.compile:
        ours.compile_features()
    return theirs.to(words.device), ours.to(words.device)


def photos(words: argparse.Namespace) -> list[Tensor]:
    """As many as the batch, all of one photo's size, or enlarged to 1600 x 1200."""
    paths = sorted((sample.folder() / "validation").glob("*.jpg"))
    first = to_tensor(read_photo(paths[0]))
    size = (1200, 1600) if words.large else (words.size, words.size)
    resized = torch.nn.functional.interpolate(first[None], size, mode="bilinear")[0]
    return [resized.roll(37 * number, 2).to(words.device) for number in range(words.batch)]


def run_ours(network: MaskRCNNNetwork, images: list[Tensor]) -> list[Tensor]:
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
    command = [sys.executable, __file__, *sys.argv[1:], "--alone", which]
    return float(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))


def main() -> None:
    """Run both in turn and print ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--size", type=int, default=512, help="short side of the network's input")
    parser.add_argument("--large", action="store_true", help="photos of 1600 x 1200")
    parser.add_argument("--detections", type=int, default=10)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--compile", action="store_true", help="compile our trunk and pyramid")
    parser.add_argument("--memory", action="store_true", help="also the largest memory")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--alone", choices=("ours", "theirs"), help=argparse.SUPPRESS)
    words = parser.parse_args()
    theirs, ours = networks(words)
    images = photos(words)
    with torch.no_grad():
        if words.alone:
            run_ours(ours, images) if words.alone == "ours" else run_theirs(theirs, images)
            print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000))
            return
        calls = (lambda: run_ours(ours, images), lambda: run_theirs(theirs, images))
        rounds = [[measured(call, words.device) for call in calls] for _ in range(words.runs + 1)][1:]
    found = " and ".join(str(masks) for _, _, masks in rounds[0])
    facts = f"input {words.size}, photos {tuple(images[0].shape[1:])}, batch {words.batch}, {found} masks"
    print(f"{words.device}, {torch.get_num_threads()} threads, {facts}, compiled: {words.compile}")
    for place, name in enumerate(("wall", "processor")):
        mine, other = (statistics.median(one[which][place] for one in rounds) for which in (0, 1))
        print(f"{name:10} ours {mine:.2f} s, torchvision {other:.2f} s: {other / mine:.2f} times as fast")
    if words.memory:
        print(f"memory     ours {peak(words, 'ours'):.0f} MB, torchvision {peak(words, 'theirs'):.0f} MB at most")


if __name__ == "__main__":
    main()
