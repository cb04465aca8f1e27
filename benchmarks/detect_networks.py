"""Compares the speed of detection of the networks with each other: same backbone, same input, same photos.

    python benchmarks/detect_networks.py                                  # two backbones; a few minutes
    python benchmarks/detect_networks.py --backbone resnet50 --size 512 --photos 8 --record

Every network gives masks at the photo's size. The weights are random, and the class layers are set so that every
network finds as many objects as the limit allows: their number decides how long masks take. Rounds alternate between
the networks, after one that does not count. The times are medians: wall time, and processor time of all threads, the
better measure on a busy machine. The ratio is the processor time of Mask R-CNN over that of the network: above 1, it is
faster.
"""

import argparse
import statistics
import time
from typing import Any

import torch
from torch import Tensor

from bench_tools import add_record_options, record
from clothseg import sample
from clothseg.config import NETWORK_SETTINGS, Config
from clothseg.networks import Network, build_network, to_tensor
from clothseg.networks.layers.norms import FrozenNorm
from clothseg.networks.mask_rcnn.network import MaskRCNNNetwork
from clothseg.networks.yolact.network import YolactNetwork
from clothseg.photos import read_photo

CLASSES = 3
FIRST = "mask_rcnn"
BACKBONES = ("timm/tf_efficientnet_lite2", "resnet50")
LEVELS: dict[str, dict[str, Any]] = {"timm/tf_efficientnet_lite2": {"channels": 128}}
"""Settings of the FPN by backbone; for others the network's own."""
CANDIDATES = 0.005
"""Share of the anchors of YOLACT that are candidates: about a hundred of 16 thousand."""


def build(name: str, backbone: str, size: int, detections: int) -> Network:
    """The network `name` for inputs of `size` x `size`."""
    tree: dict[str, Any] = {
        "input": {"resize": "fit", "height": size, "width": size},
        "backbone": {"name": backbone},
        "network": {"name": name},
        "inference": {"max_detections": detections, "score_threshold": 0.05},
    }
    if "fpn" in NETWORK_SETTINGS[name].model_fields:
        tree["network"]["fpn"] = LEVELS.get(backbone, {})
    network = build_network(Config.from_tree(tree, [], "the benchmark"), CLASSES).eval()
    for module in network.modules():
        if isinstance(module, FrozenNorm):
            module.weight.fill_(0.5)  # with 1, the values of random weights grow from layer to layer
    return network


@torch.no_grad()
def find_objects(network: Network, image: Tensor) -> None:
    """Sets the class layer so that there are as many objects as the limit allows."""
    if isinstance(network, MaskRCNNNetwork):
        network.box_head.score.get_parameter("bias")[0] -= 100  # of background
    elif isinstance(network, YolactNetwork):
        pixels, _ = network.transform.batch([image], network.device)
        logits, _, _ = network.head.by_anchor(network.forward_dense(pixels)[1:])
        margins = (logits[0, :, 1:] - logits[0, :, :1]).quantile(1 - CANDIDATES, dim=0)
        network.head.score.get_parameter("bias").view(CLASSES + 1, -1)[1:] -= margins[:, None]


def measure(networks: dict[str, Network], images: list[Tensor], runs: int) -> dict[str, tuple[float, float, float]]:
    """For each network seconds of wall time and of processor time for each photo, and objects on a photo."""
    rounds: dict[str, list[tuple[float, float, float]]] = {name: [] for name in networks}
    for _ in range(runs + 1):
        for name, network in networks.items():
            wall, processor, objects = time.perf_counter(), time.process_time(), 0
            for image in images:
                (found,) = network.detect([image])
                objects += len(found.masks.pixels())
            count = len(images)
            passed = time.perf_counter() - wall, time.process_time() - processor
            rounds[name].append((passed[0] / count, passed[1] / count, objects / count))
    return {
        name: (statistics.median(r[0] for r in of[1:]), statistics.median(r[1] for r in of[1:]), of[1][2])
        for name, of in rounds.items()
    }


def main() -> None:
    """Measures every network and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", action="append", help="of all networks; may be repeated")
    parser.add_argument("--size", type=int, default=512, help="side of the input")
    parser.add_argument("--photos", type=int, default=6, help="photos of the sample, one a call")
    parser.add_argument("--detections", type=int, default=20, help="limit per photo")
    parser.add_argument("--runs", type=int, default=5, help="rounds that count")
    add_record_options(parser)
    options = parser.parse_args()
    paths = sorted((sample.folder() / "train").glob("*.jpg"))[: options.photos]
    images = [to_tensor(read_photo(path)) for path in paths]
    print(f"{torch.get_num_threads()} threads, input {options.size} x {options.size}\n")
    print("| backbone | network | objects a photo | wall time | processor time | photos/s | ratio |")
    print("|---|---|---|---|---|---|---|")
    names = [FIRST, *(name for name in NETWORK_SETTINGS if name != FIRST)]
    for backbone in options.backbone or BACKBONES:
        networks = {name: build(name, backbone, options.size, options.detections) for name in names}
        for network in networks.values():
            find_objects(network, images[0])
        measured = measure(networks, images, options.runs)
        for name, (wall, processor, objects) in measured.items():
            ratio = measured[FIRST][1] / processor
            case = f"{name}, {backbone}, input {options.size}, {objects:.0f} objects a photo"
            cells = [backbone, name, f"{objects:.0f}", f"{wall * 1000:.0f} ms", f"{processor * 1000:.0f} ms"]
            print(f"| {' | '.join(cells)} | {1 / wall:.1f} | {ratio:.2f} |", flush=True)
            note = f"median of {options.runs} rounds over {len(images)} photos, one a call"
            record(options, f"{case}: photos per second", 1 / wall, "1/s", note)
            record(options, f"{case}: processor time a photo", f"{processor * 1000:.0f}", "ms", note)
            record(options, f"{case}: processor time of {FIRST} over its own", f"{ratio:.2f}", "times", note)


if __name__ == "__main__":
    main()
