"""How many photos a second does training take in, loader and step together, beside torchvision's detection reference?

    python benchmarks/train_against_torchvision.py [--size 512] [--batch 2] [--steps 4] [--device cuda] [--workers 1]

Both train a ResNet-50 with a feature pyramid on the sample's photos, from the same weights, with the same SGD; stem and
first stage are frozen on both sides, all norms too. Theirs is as its reference scripts have it: a data set that decodes
photo and masks at each look, flips by chance, and a loader with as many worker processes as ours has threads. Ours is
`fit`'s own step: decoded photos kept, the next ones loaded meanwhile, the same flip. Steps alternate, so that a busy
machine slows both; the first pair is not counted.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from clothseg import CocoLikeDataset, Config, sample
from clothseg.dataset import to_tensor
from clothseg.networks import build_network
from clothseg.openimages import build_dataset
from clothseg.runs import RunFolder
from clothseg.training.log import RunLog
from clothseg.training.loop import Training
from clothseg.weights import from_torchvision

RATE = 1e-4


class TheirDataset(Dataset[tuple[Tensor, dict[str, Tensor]]]):
    """Photos and targets as torchvision's reference makes them: decoded each time, flipped by chance."""

    def __init__(self, data: CocoLikeDataset) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, position: int) -> tuple[Tensor, dict[str, Tensor]]:
        image, truth = to_tensor(self.data.load_image(position)), self.data.load_instances(position)
        boxes, masks = truth.boxes.clone(), truth.masks.pixels().byte()
        if torch.rand(()) < 0.5:
            image, masks = image.flip(-1), masks.flip(-1)
            boxes[:, [0, 2]] = image.shape[-1] - boxes[:, [2, 0]]
        return image, {"boxes": boxes, "labels": truth.classes, "masks": masks}


def endless(loader: DataLoader[Any]) -> Iterator[Any]:
    """Epoch after epoch."""
    while True:
        yield from loader


def their_stepper(theirs: torch.nn.Module, data: CocoLikeDataset, given: argparse.Namespace) -> Callable[[], None]:
    """A function that loads a batch and learns from it."""
    loader: DataLoader[Any] = DataLoader(
        TheirDataset(data), given.batch, shuffle=True, num_workers=given.workers, collate_fn=lambda rows: rows,
        drop_last=True,
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
        optimizer.step()

    return step


def our_stepper(
    start: dict[str, Tensor], data: CocoLikeDataset, folder: Path, given: argparse.Namespace
) -> Callable[[], None]:
    """The step of `clothseg fit`."""
    config = Config.model_validate(
        {
            "picture": {"min_side": given.size, "max_side": given.size * 5 // 3},
            "augment": {"flip": 0.5},
            "train": {
                "batch_size": given.batch,
                "learning_rate": RATE,
                "schedule": "constant",
                "warmup_steps": 0,
                "workers": given.workers,
            },
        }
    )
    network = build_network(config, 3)
    network.load_state_dict(from_torchvision(start))
    return Training(network, data, data, config, RunFolder(folder), RunLog(folder / "log.txt", quiet=True)).step


def seconds(step: Callable[[], None]) -> float:
    """Wall time of one step."""
    begun = time.perf_counter()
    step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def main() -> None:
    """Run both in turn and print the ratio of their medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512, help="short side of the network's input")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--workers", type=int, default=1, help="threads of our loader, processes of theirs")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    torch.manual_seed(0)
    theirs = torchvision.models.detection.maskrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=4, min_size=given.size, max_size=given.size * 5 // 3
    )
    trunk = theirs.backbone.body
    for part in (trunk.conv1, trunk.bn1, trunk.layer1):
        part.requires_grad_(False)
    for name, parameter in trunk.named_parameters():  # norms as frozen as ours
        if "bn" in name or "downsample.1" in name:
            parameter.requires_grad_(False)
    start = {name: tensor.clone() for name, tensor in theirs.state_dict().items()}
    theirs.to(given.device).train()
    trunk.eval()
    with tempfile.TemporaryDirectory() as folder:
        build_dataset(sample.folder(), Path(folder) / "data", ["Suit", "Dress", "Jeans"])
        data, again = (CocoLikeDataset().load_data(Path(folder) / "data", "train").prepare() for _ in range(2))
        steps = our_stepper(start, data, Path(folder) / "run", given), their_stepper(theirs, again, given)
        pairs = [tuple(seconds(step) for step in steps) for _ in range(given.steps + 1)]
    mine, other = (given.batch / statistics.median(column) for column in zip(*pairs[1:], strict=True))
    print(
        f"training, ResNet-50, {given.size} px, {given.batch} photos a step, {given.device}, {given.workers} workers: "
        f"ours {mine:.2f} photos/s, torchvision {other:.2f}, {mine / other:.2f} times as fast"
    )


if __name__ == "__main__":
    main()
