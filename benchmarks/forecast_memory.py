"""How near is the forecast of memory to what a training takes?

    python benchmarks/forecast_memory.py [--steps 4]

Each training runs in a process of its own on a few of the sample's photos: forecast first, then some steps and a
validation. Printed are the forecast and the most memory that the process ever had (resident, libraries included).
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from clothseg import CocoLikeDataset, Config, MaskRCNN, sample
from clothseg.openimages import BuildOptions, build_dataset
from clothseg.training.memory.device import format_bytes, resident
from clothseg.training.memory.forecast import forecast, photo_needs

RESNET50 = (
    "demo",
    "weights=random",
    "backbone.name=resnet50",
    "backbone.frozen_stages=2",
    "input.height=512",
    "input.width=512",
    "network.fpn.channels=256",
    "network.fpn.levels=[2,3,4,5,6]",
    "network.anchors.scales=[[16],[32],[64],[128],[256]]",
    "network.box_head.samples=128",
    "augment.fixed_views=0",
)
PAPER = ("paper", "weights=random", "train.stages=[]")
TRAININGS: dict[str, tuple[str, ...]] = {
    "demo, batch of 4": ("demo",),
    "demo, batch of 1": ("demo", "train.batch_size=1"),
    "ResNet-50 at 512, batch of 1": (*RESNET50, "train.batch_size=1"),
    "ResNet-50 at 512, batch of 2": (*RESNET50, "train.batch_size=2"),
    "ResNet-50 at 512, batch of 2, activations checkpointed": (
        *RESNET50, "train.batch_size=2", "train.activation_checkpointing=true",
    ),
    "paper, batch of 1": PAPER,
    "paper, batch of 2": (*PAPER, "train.batch_size=2"),
}  # fmt: skip


def one(data: Path, config: Config) -> None:
    """Forecast, train, and print both numbers of bytes."""
    train, val = (CocoLikeDataset().load_data(data, split).prepare() for split in ("train", "val"))
    needs = photo_needs(train, config), photo_needs(val, config)
    foretold = forecast(config, len(train.classes), *needs, torch.device("cpu"), resident())
    with tempfile.TemporaryDirectory() as folder:
        MaskRCNN(config).build(train.classes).fit(train, val, Path(folder) / "run", quiet=True)
    print(foretold.total, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def main() -> None:
    """Run every training and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        data, preset, *overrides = given.one
        one(Path(data), Config.load(preset, overrides))
        return
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        build_dataset(sample.folder(), data, ["Suit", "Dress", "Jeans"], BuildOptions(limit=8))
        for name, (preset, *overrides) in TRAININGS.items():
            length = [f"train.steps_per_epoch={given.steps}", "train.epochs=1"]
            words = [sys.executable, __file__, "--one", str(data), preset, *overrides, *length]
            answer = subprocess.run(words, check=True, capture_output=True, text=True).stdout
            foretold, measured = (int(word) for word in answer.split())
            error = foretold / measured - 1
            print(
                f"{name}: forecast {format_bytes(foretold)}, measured {format_bytes(measured)}, {error:+.0%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
