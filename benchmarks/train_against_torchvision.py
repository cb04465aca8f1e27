"""How long does a training step take, from photos to changed weights, beside torchvision's Mask R-CNN?

    python benchmarks/train_against_torchvision.py [--size 320] [--batch 2] [--steps 4]

Both have the same weights, read the sample's photos and masks from disk in each step, resize them, and learn with the
same SGD; the first two stages of the ResNet-50 are frozen on both sides. Steps alternate, so that a busy machine slows
both.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torchvision

from clothseg import CocoLikeDataset, Config, sample
from clothseg.dataset import load_example
from clothseg.networks import build_network
from clothseg.openimages import build_dataset
from clothseg.weights import from_torchvision

Batch = list[int]


def seconds(step: Callable[[Batch], None], batch: Batch) -> float:
    """Wall time of one step."""
    begun = time.perf_counter()
    step(batch)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def learner(network: torch.nn.Module) -> torch.optim.Optimizer:
    """The same SGD for both."""
    trained = [p for p in network.parameters() if p.requires_grad]
    return torch.optim.SGD(trained, lr=1e-4, momentum=0.9)


def main() -> None:
    """Run both in turn and print the ratio of their medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=320, help="short side of the network's input")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--steps", type=int, default=4)
    given = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    longest = given.size * 5 // 3
    torch.manual_seed(0)
    theirs = torchvision.models.detection.maskrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=4, min_size=given.size, max_size=longest
    )
    trunk = theirs.backbone.body
    for part in (trunk.conv1, trunk.bn1, trunk.layer1):
        part.requires_grad_(False)
    config = Config.model_validate({"picture": {"min_side": given.size, "max_side": longest}})
    ours = build_network(config, 3)
    ours.load_state_dict(from_torchvision(theirs.state_dict()))
    theirs.to(device).train()
    trunk.eval()  # its norms as frozen as ours
    ours.to(device).train()
    our_optimizer, their_optimizer = learner(ours), learner(theirs)
    with tempfile.TemporaryDirectory() as folder:
        build_dataset(sample.folder(), Path(folder) / "data", ["Suit", "Dress", "Jeans"], limit=given.batch * 3)
        data = CocoLikeDataset().load_data(Path(folder) / "data", "train").prepare()

        def our_step(batch: Batch) -> None:
            loaded = [load_example(data, position, None) for position in batch]
            loss = ours.losses([image for image, _ in loaded], [truth for _, truth in loaded])["total"]
            our_optimizer.zero_grad()
            torch.autograd.backward(loss)
            our_optimizer.step()

        def their_step(batch: Batch) -> None:
            loaded = [load_example(data, position, None) for position in batch]
            targets = [
                {
                    "boxes": t.boxes.to(device),
                    "labels": t.classes.to(device),
                    "masks": t.masks.pixels().byte().to(device),
                }
                for _, t in loaded
            ]
            loss = sum(theirs([image.to(device) for image, _ in loaded], targets).values())
            their_optimizer.zero_grad()
            torch.autograd.backward(loss)
            their_optimizer.step()

        pairs = []
        for number in range(given.steps + 1):
            batch = [(number * given.batch + i) % len(data) for i in range(given.batch)]
            pairs.append((seconds(our_step, batch), seconds(their_step, batch)))
    mine, other = (statistics.median(column) for column in zip(*pairs[1:], strict=True))
    print(
        f"training step, ResNet-50, {given.size} px, {given.batch} photos, {device}: ours {mine:.2f} s, torchvision "
        f"{other:.2f} s, {other / mine:.2f} times as fast"
    )


if __name__ == "__main__":
    main()
