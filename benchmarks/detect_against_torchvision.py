"""How long does detection take beside torchvision's own Mask R-CNN, with the same weights on the same photo?"""

import statistics
import time
from collections.abc import Callable

import torch
import torchvision

from clothseg import sample
from clothseg.config import Config
from clothseg.dataset import to_tensor
from clothseg.networks import build_network
from clothseg.photos import read_photo
from clothseg.weights import from_torchvision


def seconds(run: Callable[[], object]) -> float:
    """Wall time of one call."""
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def main() -> None:
    """Run both in turn and print the ratio of their medians."""
    torch.manual_seed(0)
    theirs = torchvision.models.detection.maskrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=4, min_size=512, max_size=512
    ).eval()
    config = Config()
    config.picture.min_side = config.picture.max_side = 512
    ours = build_network(config, 3).eval()
    ours.load_state_dict(from_torchvision(theirs.state_dict()))
    photo = to_tensor(read_photo(min((sample.folder() / "validation").glob("*.jpg"))))
    pairs = []
    with torch.no_grad():
        for _ in range(6):
            pairs.append((seconds(lambda: ours.detect([photo])), seconds(lambda: theirs([photo]))))
    mine, other = (statistics.median(column) for column in zip(*pairs[1:], strict=True))
    print(f"detect, ResNet-50, 512 px: ours {mine:.2f} s, torchvision {other:.2f} s, ratio {mine / other:.2f}")


if __name__ == "__main__":
    main()
