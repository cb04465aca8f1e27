"""Compares the time and memory of DeepLabv3 with torchvision's: same weights, same photos.

    python benchmarks/segment_against_torchvision.py                    # inputs of 384 and 520; a minute
    python benchmarks/segment_against_torchvision.py --record           # appends the results to the CSV file
    python benchmarks/segment_against_torchvision.py --size 800 --depth 101 --runs 5

Both sides answer with the likeliest class of each pixel of the input and its probability, which is what instances are
made of. The weights are random, so that their values do not matter. Each row of the table has medians over runs that
alternate between the two sides, after one run that does not count: wall time, and processor time of all threads, which
is the better measure on a busy machine. The ratio is torchvision's time over that of clothseg: above 1, clothseg is
faster. Torchvision runs without its auxiliary head.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor

from bench_tools import add_record_options, record
from clothseg.networks import Network
from clothseg.networks.deeplab.network import DeepLabNetwork
from clothseg.weights import load_model

CLASSES = 21


def build_networks(depth: int, device: str) -> tuple[Network, Any]:
    """Builds the network of clothseg and that of torchvision, with the same weights."""
    torch.manual_seed(0)
    build = getattr(torchvision.models.segmentation, f"deeplabv3_resnet{depth}")
    reference = build(weights=None, weights_backbone=None, num_classes=CLASSES, aux_loss=False).eval()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "deeplab.pth"
        torch.save(reference.state_dict(), path)
        network = load_model(path).network.eval()
    return network.to(device), reference.to(device)


def run_clothseg(network: Network, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """The class of each pixel and its probability, as the network computes them before it makes instances."""
    assert isinstance(network, DeepLabNetwork)
    low = network.forward_dense(pixels)[0].contiguous()
    logits = network.upsample(low, (pixels.shape[-2], pixels.shape[-1]))[0]
    best = logits.max(0)
    return best.indices, (best.values - logits.logsumexp(0)).exp()


def run_torchvision(network: Any, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """The class of each pixel and its probability."""
    best = network(pixels)["out"].softmax(1)[0].max(0)
    return best.indices, best.values


def time_call(run: Callable[[], tuple[Tensor, Tensor]], device: str) -> tuple[float, float, Tensor]:
    """Wall time and processor time of one call in seconds, and the classes."""
    if device == "cuda":
        torch.cuda.synchronize()
    wall, processor = time.perf_counter(), time.process_time()
    labels, _ = run()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - wall, time.process_time() - processor, labels


def measure(size: int, options: argparse.Namespace) -> str:
    """Measures one size, records it, and returns its row of the table."""
    device = options.device
    network, reference = build_networks(options.depth, device)
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randn((1, 3, size, size * 3 // 2), generator=generator).to(device)
    calls = (lambda: run_clothseg(network, pixels), lambda: run_torchvision(reference, pixels))
    with torch.no_grad():
        rounds = [[time_call(call, device) for call in calls] for _ in range(options.runs + 1)][1:]
    differing = float((rounds[0][0][2] != rounds[0][1][2]).float().mean())
    name = f"ResNet-{options.depth}, input {size * 3 // 2}x{size}, {torch.get_num_threads()} threads"
    gpu = torch.cuda.get_device_name() if device == "cuda" else ""
    note = f"median of {options.runs} runs; {differing:.4%} of the pixels differ in class"
    cells = [str(options.depth), f"{size * 3 // 2}x{size}", f"{differing:.4%}"]
    for column, clock in enumerate(("wall", "processor")):
        ours, theirs = (statistics.median(float(one[side][column]) for one in rounds) for side in (0, 1))
        cells.append(f"{ours:.2f} / {theirs:.2f} s: **{theirs / ours:.2f}**")
        record(options, f"{name}: {clock} time, clothseg", f"{ours:.3f}", "s", note, gpu)
        record(options, f"{name}: {clock} time, torchvision", f"{theirs:.3f}", "s", note, gpu)
        ratio = f"{theirs / ours:.2f}"
        record(options, f"{name}: {clock} time ratio, torchvision / clothseg", ratio, "times", note, gpu)
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Runs both sides and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, action="append", help="short side of the input; default: 384 and 520")
    parser.add_argument("--depth", type=int, choices=(50, 101), default=50, help="of the ResNet")
    parser.add_argument("--runs", type=int, default=3, help="runs of each side")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu or cuda")
    add_record_options(parser)
    options = parser.parse_args()
    print(f"{options.device}, {torch.get_num_threads()} threads; clothseg / torchvision: **ratio**\n")
    print("| ResNet | input | pixels that differ | wall time | processor time |")
    print("|---|---|---|---|---|")
    for size in options.size or (384, 520):
        print(measure(size, options), flush=True)


if __name__ == "__main__":
    main()
