"""Compares the memory forecast of a training with the memory that it takes.

    python benchmarks/forecast_memory.py [--steps 4] [--only demo] [--record]

Each training runs in its own process on a few photos of the sample: first the forecast, then some steps and one
validation. The measured value is the peak resident memory of the process, with its libraries. The error is that of the
forecast: negative means that the training took more. Ten minutes for all trainings.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

import clothseg.training.fit  # noqa: F401 - as in `clothseg fit`, its libraries are there before the forecast
from bench_tools import add_record_options, peak_memory, record
from clothseg import CocoLikeDataset, Config, sample
from clothseg.models import Model
from clothseg.openimages import BuildOptions, build_dataset
from clothseg.training.memory.device import format_bytes
from clothseg.training.memory.forecast import forecast_memory

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
YOLACT = ("paper-yolact", "weights=random", "train.stages=[]")
PAPER = ("paper", "weights=random", "train.stages=[]")
TRAININGS: dict[str, tuple[str, ...]] = {
    "demo, batch of 4": ("demo",),
    "demo, batch of 1": ("demo", "train.batch_size=1"),
    "ResNet-50 at 512, batch of 1": (*RESNET50, "train.batch_size=1"),
    "ResNet-50 at 512, batch of 2": (*RESNET50, "train.batch_size=2"),
    "ResNet-50 at 512, batch of 2, activation checkpointing": (
        *RESNET50, "train.batch_size=2", "train.activation_checkpointing=true",
    ),
    "paper, batch of 1": PAPER,
    "paper, batch of 2": (*PAPER, "train.batch_size=2"),
    "small, batch of 4": ("small",),
    "small-yolact, batch of 4": ("small-yolact",),
    "paper-yolact, batch of 1": YOLACT,
    "paper-yolact, batch of 2": (*YOLACT, "train.batch_size=2"),
    "small-deeplab, batch of 4": ("small-deeplab",),
    "paper-deeplab, batch of 1": ("paper-deeplab", "weights=random", "train.stages=[]"),
    "YOLACT with ResNet-50 at 550, 2 frozen stages, batch of 2": (
        *YOLACT, "backbone.name=resnet50", "backbone.frozen_stages=2", "input.height=550", "input.width=550",
        "train.batch_size=2",
    ),
}  # fmt: skip


def run_training(data: Path, config: Config) -> None:
    """Forecasts, trains, and prints both numbers of bytes."""
    train, val = (CocoLikeDataset().load_data(data, split).prepare() for split in ("train", "val"))
    forecast = forecast_memory(config, train, val, torch.device("cpu"))
    with tempfile.TemporaryDirectory() as folder:
        Model(config).build(train.classes).fit(train, val, Path(folder) / "run", quiet=True)
    print(forecast.total, peak_memory())


def main() -> None:
    """Runs every training and prints forecast, measured memory and error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=4, help="steps of each training")
    parser.add_argument("--only", default="", help="only trainings whose name contains this text")
    parser.add_argument("--training", nargs="+", help=argparse.SUPPRESS)
    add_record_options(parser)
    options = parser.parse_args()
    if options.training:
        data, preset, *overrides = options.training
        run_training(Path(data), Config.load(preset, overrides))
        return
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        build_dataset(sample.folder(), data, ["Suit", "Dress", "Jeans"], BuildOptions(limit=8))
        for name, (preset, *overrides) in TRAININGS.items():
            if options.only not in name:
                continue
            length = [f"train.steps_per_epoch={options.steps}", "train.epochs=1"]
            command = [sys.executable, __file__, "--training", str(data), preset, *overrides, *length]
            answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            forecast, measured = (int(word) for word in answer.split())
            error = forecast / measured - 1
            print(
                f"{name}: forecast {format_bytes(forecast)}, measured {format_bytes(measured)}, error {error:+.0%}",
                flush=True,
            )
            record(options, f"{name}: forecast", f"{forecast / 1e9:.1f}", "GB")
            record(options, f"{name}: measured", f"{measured / 1e9:.1f}", "GB", f"resident, {options.steps} steps")
            record(options, f"{name}: error of the forecast", f"{100 * error:+.0f}", "%")


if __name__ == "__main__":
    main()
