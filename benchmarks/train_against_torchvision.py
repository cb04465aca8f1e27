"""How many photos a second does training take in, loader and step together, beside torchvision's detection reference?

    python benchmarks/train_against_torchvision.py [--size 512] [--batch 2] [--steps 4] [--device cuda] [--workers 1]
    python benchmarks/train_against_torchvision.py --paper --batch 1 --memory

Both train a ResNet-50 with a feature pyramid on the sample's photos, from the same weights, with the same SGD; stem and
first stage are frozen on both sides, all norms too. Theirs is as its reference scripts have it: a data set that decodes
photo and masks at each look, flips by chance, and a loader with as many worker processes as ours has threads. Ours is
`fit`'s own step: decoded photos kept, the next ones loaded meanwhile, the same flip. Steps alternate, so that a busy
machine slows both; the first pair is not counted.

`--paper` takes the preset `paper` instead, all layers learning, and a ResNet-101 of torchvision with its numbers:
inputs of 512 x 512, 200 boxes, the same anchors, clipped gradients. Weights are random there. Ours has a proposal
network twice as wide, as the preset says. `--memory` runs each of both alone as well and prints the most memory that
its process had (resident, libraries included; on a GPU what was allocated there).
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
from torchvision.models.detection import MaskRCNN as TheirMaskRCNN
from torchvision.models.detection import maskrcnn_resnet50_fpn
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.rpn import AnchorGenerator
from torchvision.transforms import v2

from clothseg import CocoLikeDataset, Config, sample
from clothseg.dataset import to_tensor
from clothseg.networks import build_network
from clothseg.openimages import build_dataset
from clothseg.runs import RunFolder
from clothseg.training.run_log import RunLog
from clothseg.training.trainer import Trainer
from clothseg.weights import from_torchvision
from memory_of_a_process import largest_memory

RATE = 1e-4


class TheirDataset(Dataset[tuple[Tensor, dict[str, Tensor]]]):
    """Photos and targets as torchvision's reference makes them: decoded each time, flipped by chance.

    With a `side` they are made square of that many pixels, as ours are with the preset `paper`.
    """

    def __init__(self, data: CocoLikeDataset, side: int | None) -> None:
        self.data, self.side = data, side

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, position: int) -> tuple[Tensor, dict[str, Tensor]]:
        image, truth = to_tensor(self.data.load_image(position)), self.data.load_instances(position)
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


def endless(loader: DataLoader[Any]) -> Iterator[Any]:
    """Epoch after epoch."""
    while True:
        yield from loader


def their_network(given: argparse.Namespace) -> nn.Module:
    """Torchvision's, with stem, first stage and all norms frozen; or all but the norms learning, with `--paper`."""
    torch.manual_seed(0)
    if given.paper:
        trunk = resnet_fpn_backbone(backbone_name="resnet101", weights=None, trainable_layers=5)
        anchors = AnchorGenerator(tuple((side,) for side in (16, 32, 64, 128, 256)), ((0.5, 1.0, 2.0),) * 5)
        paper: nn.Module = TheirMaskRCNN(
            trunk, 4, min_size=512, max_size=512, rpn_anchor_generator=anchors, rpn_nms_thresh=0.8,
            rpn_pre_nms_top_n_train=6000, box_batch_size_per_image=200, box_positive_fraction=0.33,
        )  # fmt: skip
        return paper.to(given.device).train()
    network: nn.Module = maskrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=4, min_size=given.size, max_size=given.size * 5 // 3
    )
    body = network.get_submodule("backbone.body")
    for part in ("conv1", "bn1", "layer1"):
        body.get_submodule(part).requires_grad_(False)
    for name, parameter in body.named_parameters():  # norms as frozen as ours
        if "bn" in name or "downsample.1" in name:
            parameter.requires_grad_(False)
    network.to(given.device).train()
    body.eval()
    return network


def their_stepper(theirs: nn.Module, data: CocoLikeDataset, given: argparse.Namespace) -> Callable[[], None]:
    """A function that loads a batch and learns from it."""
    loader: DataLoader[Any] = DataLoader(
        TheirDataset(data, 512 if given.paper else None), given.batch, shuffle=True, num_workers=given.workers,
        collate_fn=lambda rows: rows, drop_last=True,
    )  # fmt: skip
    batches = endless(loader)
    trained = [p for p in theirs.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=RATE, momentum=0.9, weight_decay=0.0001)

    def step() -> None:
        batch = next(batches)
        images = [image.to(given.device) for image, _ in batch]
        targets = [{name: value.to(given.device) for name, value in target.items()} for _, target in batch]
        loss = sum(theirs(images, targets).values())
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        if given.paper:
            nn.utils.clip_grad_norm_(trained, 5.0)
        optimizer.step()

    return step


def our_stepper(
    start: dict[str, Tensor] | None, data: CocoLikeDataset, folder: Path, given: argparse.Namespace
) -> Callable[[], None]:
    """The step of `clothseg fit`, from torchvision's weights where there are such."""
    both = [f"train.batch_size={given.batch}", f"train.workers={given.workers}", f"train.learning_rate={RATE}"]
    if given.paper:
        config = Config.load("paper", [*both, "train.stages=[]"])
    else:
        size = [f"input.min_side={given.size}", f"input.max_side={given.size * 5 // 3}", "augment.flip=0.5"]
        config = Config.from_tree({}, [*both, *size, "train.schedule=constant", "train.warmup_steps=0"], "the defaults")
    network = build_network(config, 3)
    if start is not None:
        network.load_state_dict(from_torchvision(start))
    return Trainer(network, data, data, config, RunFolder(folder), RunLog(folder / "log.txt", quiet=True)).step


def seconds(step: Callable[[], None]) -> float:
    """Wall time of one step."""
    begun = time.perf_counter()
    step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def prepared(data: Path) -> CocoLikeDataset:
    """The photos to learn from."""
    return CocoLikeDataset().load_data(data, "train").prepare()


def stepper(which: str, data: Path, given: argparse.Namespace) -> Callable[[], None]:
    """The step of one of both, `ours` or `theirs`."""
    if which == "theirs":
        return their_stepper(their_network(given), prepared(data), given)
    start = None if given.paper else {name: x.cpu() for name, x in their_network(given).state_dict().items()}
    return our_stepper(start, prepared(data), data.parent / "run", given)


def run_alone(data: Path, given: argparse.Namespace) -> None:
    """Take some steps and print the largest memory of this process, or of the GPU, in bytes."""
    step = stepper(given.alone, data, given)
    for _ in range(given.steps + 1):
        step()
    print(torch.cuda.max_memory_allocated() if given.device == "cuda" else largest_memory())


def alone(which: str, given: argparse.Namespace) -> float:
    """GB that one of both takes in a process of its own."""
    case = ["--size", given.size, "--batch", given.batch, "--steps", given.steps, "--workers", given.workers]
    case += ["--device", given.device, "--alone", which] + ["--paper"] * given.paper
    answer = subprocess.run([sys.executable, __file__, *map(str, case)], check=True, capture_output=True)
    return float(json.loads(answer.stdout)) / 1e9


def main() -> None:
    """Run both in turn and print the ratio of their medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512, help="short side of the network's input")
    parser.add_argument("--paper", action="store_true", help="the preset paper, all layers learning")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--workers", type=int, default=1, help="threads of our loader, processes of theirs")
    parser.add_argument("--memory", action="store_true", help="also the largest memory of each, alone")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--alone", choices=("ours", "theirs"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        build_dataset(sample.folder(), data, ["Suit", "Dress", "Jeans"])
        if given.alone:
            run_alone(data, given)
            return
        steps = [stepper(which, data, given) for which in ("ours", "theirs")]
        pairs = [tuple(seconds(step) for step in steps) for _ in range(given.steps + 1)]
    mine, other = (given.batch / statistics.median(column) for column in zip(*pairs[1:], strict=True))
    network = "the preset paper" if given.paper else f"ResNet-50, {given.size} px"
    print(
        f"training, {network}, {given.batch} photos a step, {given.device}, {given.workers} workers: "
        f"ours {mine:.2f} photos/s, torchvision {other:.2f}, {mine / other:.2f} times as fast"
    )
    if given.memory:
        ours, theirs = (alone(which, given) for which in ("ours", "theirs"))
        print(f"most memory of a process: ours {ours:.2f} GB, torchvision {theirs:.2f} GB")


if __name__ == "__main__":
    main()
