"""Compares the speed of training with torchvision's detection reference: photos per second, loader and step.

    python benchmarks/train_against_torchvision.py [--size 512] [--batch 2] [--steps 4] [--workers 1] [--record]
    python benchmarks/train_against_torchvision.py --paper --batch 1 --memory

Both sides train a ResNet-50 with an FPN on the photos of the sample, from the same weights, with the same SGD. Stem,
first stage and all norms are frozen on both sides. torchvision's side follows its reference scripts: the dataset
decodes photo and masks each time, flips at random, and the loader has as many worker processes as clothseg's has
threads. clothseg's side is the step of `fit`: it caches decoded photos, loads the next ones during the step, and flips
the same way. The steps of the two sides alternate, so that a busy machine slows both; the first pair does not count.
The result is the ratio of the medians. Two minutes by default on two cores.

`--paper` trains the preset `paper` instead, all layers, and a ResNet-101 of torchvision with the same numbers: inputs
of 512 x 512, 200 boxes, the same anchors, clipped gradients, random weights. The RPN of the preset is twice as wide as
torchvision's. `--memory` also runs each side alone and prints the peak memory of its process (resident, with libraries;
on a GPU the allocated memory).
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.models.detection import MaskRCNN as TorchvisionMaskRCNN
from torchvision.models.detection import maskrcnn_resnet50_fpn
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.rpn import AnchorGenerator
from torchvision.transforms import v2

from bench_tools import add_record_options, peak_memory, record
from clothseg import CocoLikeDataset, Config, sample
from clothseg.distributed import launch
from clothseg.networks import build_network, to_float, to_tensor
from clothseg.openimages import build_dataset
from clothseg.runs import RunFolder
from clothseg.training.run_log import RunLog
from clothseg.training.trainer import Trainer
from clothseg.weights import from_torchvision

LEARNING_RATE = 1e-4
SIDES = ("clothseg", "torchvision")


class ReferenceDataset(Dataset[tuple[Tensor, dict[str, Tensor]]]):
    """Photos and targets as in torchvision's reference: decoded each time, flipped at random.

    With a `side`, photos are resized and padded to a square of that many pixels, like those of the preset `paper`.
    """

    def __init__(self, data: CocoLikeDataset, side: int | None) -> None:
        self.data, self.side = data, side

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, position: int) -> tuple[Tensor, dict[str, Tensor]]:
        image, truth = to_float(to_tensor(self.data.load_image(position))), self.data.load_instances(position)
        boxes, masks = truth.boxes.clone(), truth.masks.pixels().byte()
        if torch.rand(()) < 0.5:
            image, masks = image.flip(-1), masks.flip(-1)
            boxes[:, [0, 2]] = image.shape[-1] - boxes[:, [2, 0]]
        if self.side is not None:
            scale = self.side / max(image.shape[-2:])
            size = [round(length * scale) for length in image.shape[-2:]]
            corner = [0, 0, self.side - size[1], self.side - size[0]]
            image = v2.functional.pad(v2.functional.resize(image, size), corner)
            masks = v2.functional.pad(v2.functional.resize(masks, size, v2.InterpolationMode.NEAREST), corner)
            boxes *= scale
        return image, {"boxes": boxes, "labels": truth.classes, "masks": masks}


def repeat(loader: DataLoader[Any]) -> Iterator[Any]:
    """Yields the batches of one epoch after the other, without end."""
    while True:
        yield from loader


def build_reference(options: argparse.Namespace) -> nn.Module:
    """Builds torchvision's network. Stem, first stage and norms are frozen; with `--paper` only the norms."""
    torch.manual_seed(0)
    if options.paper:
        backbone = resnet_fpn_backbone(backbone_name="resnet101", weights=None, trainable_layers=5)
        anchors = AnchorGenerator(tuple((side,) for side in (16, 32, 64, 128, 256)), ((0.5, 1.0, 2.0),) * 5)
        paper: nn.Module = TorchvisionMaskRCNN(
            backbone, 4, min_size=512, max_size=512, rpn_anchor_generator=anchors, rpn_nms_thresh=0.8,
            rpn_pre_nms_top_n_train=6000, box_batch_size_per_image=200, box_positive_fraction=0.33,
        )  # fmt: skip
        return paper.to(options.device).train()
    network: nn.Module = maskrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=4, min_size=options.size, max_size=options.size * 5 // 3
    )
    body = network.get_submodule("backbone.body")
    for part in ("conv1", "bn1", "layer1"):
        body.get_submodule(part).requires_grad_(False)
    for name, parameter in body.named_parameters():  # clothseg freezes the norms too
        if "bn" in name or "downsample.1" in name:
            parameter.requires_grad_(False)
    network.to(options.device).train()
    body.eval()
    return network


def reference_step(network: nn.Module, data: CocoLikeDataset, options: argparse.Namespace) -> Callable[[], None]:
    """Returns a function that loads a batch and trains on it, for torchvision's network."""
    loader: DataLoader[Any] = DataLoader(
        ReferenceDataset(data, 512 if options.paper else None),
        options.batch,
        shuffle=True,
        num_workers=options.workers,
        collate_fn=lambda rows: rows,
        drop_last=True,
    )
    batches = repeat(loader)
    trained = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=LEARNING_RATE, momentum=0.9, weight_decay=0.0001)

    def step() -> None:
        batch = next(batches)
        images = [image.to(options.device) for image, _ in batch]
        targets = [{name: value.to(options.device) for name, value in target.items()} for _, target in batch]
        with torch.autocast(options.device, dtype=torch.bfloat16, enabled=options.precision == "bf16-mixed"):
            loss = sum(network(images, targets).values())
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        if options.paper:
            nn.utils.clip_grad_norm_(trained, 5.0)
        optimizer.step()

    return step


def clothseg_step(
    weights: dict[str, Tensor] | None, data: CocoLikeDataset, folder: Path, options: argparse.Namespace
) -> Callable[[], None]:
    """Returns the step of `clothseg fit`, from torchvision's weights, or from random ones if there are none."""
    shared = [
        f"train.batch_size={options.batch}",
        f"train.workers={options.workers}",
        f"train.learning_rate={LEARNING_RATE}",
        f"train.precision={options.precision}",
    ]
    if options.paper:
        config = Config.load("paper", [*shared, "train.stages=[]"])
    else:
        size = [f"input.min_side={options.size}", f"input.max_side={options.size * 5 // 3}", "augment.flip=0.5"]
        config = Config.from_tree(
            {}, [*shared, *size, "train.schedule=constant", "train.warmup_steps=0"], "the defaults"
        )
    network = build_network(config, 3)
    if weights is not None:
        network.load_state_dict(from_torchvision(weights))
    fabric = launch(1, options.precision, device=torch.device(options.device))
    return Trainer(network, data, data, config, RunFolder(folder), RunLog(folder / "log.txt", quiet=True), fabric).step


def time_call(step: Callable[[], None]) -> float:
    """Wall time of one step in seconds."""
    start = time.perf_counter()
    step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def make_step(side: str, data: Path, options: argparse.Namespace) -> Callable[[], None]:
    """Returns the step of one side."""
    dataset = CocoLikeDataset().load_data(data, "train").prepare()
    if side == "torchvision":
        return reference_step(build_reference(options), dataset, options)
    weights = None
    if not options.paper:
        weights = {name: tensor.cpu() for name, tensor in build_reference(options).state_dict().items()}
    return clothseg_step(weights, dataset, data.parent / "run", options)


def run_one_side(side: str, data: Path, options: argparse.Namespace) -> None:
    """Takes some steps of one side and prints the peak memory of this process, or of the GPU, in bytes."""
    step = make_step(side, data, options)
    for _ in range(options.steps + 1):
        step()
    print(torch.cuda.max_memory_allocated() if options.device == "cuda" else peak_memory())


def measure_peak(side: str, options: argparse.Namespace) -> float:
    """Peak memory in GB of one side in its own process."""
    arguments = [
        f"--{name}={getattr(options, name)}" for name in ("size", "batch", "steps", "workers", "device", "precision")
    ]
    arguments += ["--only", side] + ["--paper"] * options.paper
    answer = subprocess.run([sys.executable, __file__, *arguments], check=True, capture_output=True)
    return float(json.loads(answer.stdout)) / 1e9


def report(seconds: list[tuple[float, ...]], options: argparse.Namespace) -> None:
    """Prints and records photos per second of both sides and their ratio, and peak memory with `--memory`."""
    rates = [options.batch / statistics.median(column) for column in zip(*seconds, strict=True)]
    ratio = rates[0] / rates[1]
    network = "paper (ResNet-101)" if options.paper else f"ResNet-50, {options.size} pixels"
    name = f"{network}, {options.batch} photo{'s' if options.batch > 1 else ''} a step"
    name += "" if options.paper else ", loader and step"
    name += "" if options.precision == "32-true" else f", {options.precision}"
    gpu = torch.cuda.get_device_name() if options.device == "cuda" else ""
    print(
        f"{name}, {options.device}, {options.workers} workers: clothseg {rates[0]:.2f} photos/s, "
        f"torchvision {rates[1]:.2f} photos/s, ratio {ratio:.2f}"
    )
    note = f"median of {options.steps} steps" + ("; RPN twice as wide as torchvision's" if options.paper else "")
    for side, rate in zip(SIDES, rates, strict=True):
        record(options, f"{name}: {side}", f"{rate:.2f}", "photos/s", note, gpu)
    record(options, f"{name}: photos per second ratio, clothseg / torchvision", f"{ratio:.2f}", "times", note, gpu)
    if options.memory:
        peaks = [measure_peak(side, options) for side in SIDES]
        print(f"peak memory: clothseg {peaks[0]:.2f} GB, torchvision {peaks[1]:.2f} GB")
        for side, peak in zip(SIDES, peaks, strict=True):
            record(options, f"{name}: peak memory, {side}", f"{peak:.2f}", "GB", "", gpu)


def main() -> None:
    """Runs the steps of both sides in turn and prints the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512, help="short side of the network's input")
    parser.add_argument("--paper", action="store_true", help="train the preset paper, all layers")
    parser.add_argument("--batch", type=int, default=2, help="photos per step")
    parser.add_argument("--steps", type=int, default=4, help="steps of each side")
    parser.add_argument("--workers", type=int, default=1, help="loader threads of clothseg, processes of torchvision")
    parser.add_argument("--memory", action="store_true", help="measure peak memory, each side alone")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu or cuda")
    parser.add_argument("--precision", choices=("32-true", "bf16-mixed"), default="32-true", help="of both sides")
    parser.add_argument("--only", choices=SIDES, help=argparse.SUPPRESS)
    add_record_options(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        build_dataset(sample.folder(), data, ["Suit", "Dress", "Jeans"])
        if options.only:
            run_one_side(options.only, data, options)
            return
        steps = [make_step(side, data, options) for side in SIDES]
        seconds = [tuple(time_call(step) for step in steps) for _ in range(options.steps + 1)]
    report(seconds[1:], options)


if __name__ == "__main__":
    main()
