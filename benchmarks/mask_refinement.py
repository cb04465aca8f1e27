"""What refined masks cost: detection of Mask R-CNN with `network.mask_refinement` over detection without it.

    python benchmarks/mask_refinement.py                     # the preset small with refined masks of 56 cells
    python benchmarks/mask_refinement.py --objects 20 --size 112 --record

Random weights; the class layer is set so that each photo has as many objects as asked. Rounds alternate between both,
after one that does not count; see detect_networks.py. The ratio is of medians of processor time.
"""

import argparse

from bench_tools import add_record_options, record
from clothseg import sample
from clothseg.config import Config
from clothseg.networks import Network, build_network, to_tensor
from clothseg.photos import read_photo
from detect_networks import CLASSES, find_objects, measure


def build(preset: str, size: int, objects: int) -> Network:
    """The network of a preset, with refined masks of `size` x `size` cells; 0: without."""
    overrides = [f"network.mask_refinement.size={size}", f"inference.max_detections={objects}"]
    config = Config.load(preset, [*overrides, "inference.score_threshold=0.05", "inference.mask_rescoring=false"])
    return build_network(config, CLASSES).eval()


def main() -> None:
    """Measures both and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="small", help="of Mask R-CNN")
    parser.add_argument("--size", type=int, default=56, help="side of the refined mask")
    parser.add_argument("--objects", type=int, action="append", help="on a photo; may be repeated (default: 3 and 20)")
    parser.add_argument("--photos", type=int, default=4, help="photos of the sample, one a call")
    parser.add_argument("--runs", type=int, default=7, help="rounds that count")
    add_record_options(parser)
    options = parser.parse_args()
    paths = sorted((sample.folder() / "train").glob("*.jpg"))[: options.photos]
    images = [to_tensor(read_photo(path)) for path in paths]
    print("| objects a photo | without | refined | ratio |\n|---|---|---|---|")
    for objects in options.objects or (3, 20):
        networks = {
            name: build(options.preset, size, objects) for name, size in (("plain", 0), ("refined", options.size))
        }
        for network in networks.values():
            find_objects(network, images[0])
        measured = measure(networks, images, options.runs)
        (_, before, count), (_, after, _) = measured["plain"], measured["refined"]
        print(f"| {count:.0f} | {before * 1000:.0f} ms | {after * 1000:.0f} ms | {after / before:.2f} |", flush=True)
        case = f"{options.preset}, refined to {options.size}, {count:.0f} objects a photo: processor time over without"
        record(
            options, case, f"{after / before:.2f}", "times", f"median of {options.runs} rounds, {len(images)} photos"
        )


if __name__ == "__main__":
    main()
