"""Overfits one photo: a setup that cannot do that has a fault, and the result names it."""

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from lightning_fabric import Fabric
from PIL import Image
from torch import Tensor
from torch.optim import Optimizer
from torchvision.ops import box_iou

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset, load_example
from clothseg.dataset.readable import first_readable
from clothseg.devices import float32_products, resolve_precision
from clothseg.distributed import launch
from clothseg.errors import DataError
from clothseg.files import atomic_file
from clothseg.instances import Instances, from_xywh, is_box_only, mask_iou
from clothseg.networks import Network
from clothseg.pictures import contact_sheet, draw_instances
from clothseg.training.schedule import make_optimizer
from clothseg.training.step import clip_gradient, is_finite

MAX_SECONDS, MAX_STEPS, DETECT_EVERY, WARMUP_STEPS = 60.0, 300, 20, 10
MIN_STEPS = 100
"""Steps that are always taken, so that a busy machine does not count as a fault."""
DECREASED = 0.5
"""A loss has decreased if it ends below this fraction of its start, or below `SMALL`."""
SMALL = 0.05
FOUND_IOU, FOUND_SCORE = 0.7, 0.5


@dataclass(frozen=True)
class OverfitResult:
    """The result.

    Attributes:
        position: of the photo in the dataset.
        truth, found: the ground truth and the detections.
        steps, seconds: of the training.
        first, last: losses at the start and at the end, by name.
        overlaps: for each object the mask IoU of the best detection of its class with a score from `FOUND_SCORE`.
        causes: why it was not learned, the likeliest first; empty if it was.
    """

    position: int
    truth: Instances
    found: Instances
    steps: int
    seconds: float
    first: dict[str, float]
    last: dict[str, float]
    overlaps: list[float]
    causes: list[str]


def overfit_one_image(
    network: Network, dataset: CocoLikeDataset, config: Config, fabric: Fabric | None = None
) -> OverfitResult:
    """Trains on one photo without augmentation, for about a minute at most.

    Learning rate and precision are those of the configuration; detections are in 32 bits, as after a training.

    Args:
        network: its weights change; on the device that it learns on.
        dataset: prepared; the photo is the first that has objects.
        config: of the network and the training.
        fabric: of the network's device and the precision; by default from `distributed.launch`.

    Raises:
        DataError: no photo has an object.
        PhotoError: none of the photos with objects can be read.
        ConfigError: the device does not have this precision.
    """
    position = choose_photo(dataset)
    image, truth = load_example(dataset, position, None, 0, config.train.seed)
    fabric = fabric or launch(1, config.train.precision, device=network.device)
    precision = resolve_precision(config.train.precision, network.device)
    with float32_products(network.device, tf32=precision != "32-true"):
        history, found, seconds = _learn(network, image, truth, config, fabric)
    last = _mean(history[-5:]) if is_finite(history[-1]) else history[-1]
    overlap = overlaps(truth, found)
    causes = contradictions(dataset, position, truth)
    if min(overlap) < FOUND_IOU:
        causes += diagnose(network, dataset, position, history[0], last, len(found))
    return OverfitResult(position, truth, found, len(history), seconds, history[0], last, overlap, causes)


def _learn(
    network: Network, image: Tensor, truth: Instances, config: Config, fabric: Fabric
) -> tuple[list[dict[str, float]], Instances, float]:
    """The losses of each step, the detections after the last one, and seconds; ends early if all is found."""
    made = fabric.setup_optimizers(make_optimizer(network, config.train, config.train.learning_rate))
    optimizer = cast(Optimizer, made)
    rates = [group["lr"] for group in optimizer.param_groups]
    history: list[dict[str, float]] = []
    begun, found = time.monotonic(), truth[:0]
    while len(history) < MAX_STEPS and (len(history) < MIN_STEPS or time.monotonic() - begun < MAX_SECONDS):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * min(1.0, (len(history) + 1) / WARMUP_STEPS)
        network.train()
        with fabric.autocast():
            losses = network.losses([image], [truth])
        history.append({name: loss.item() for name, loss in losses.items()})
        if not is_finite(history[-1]):
            break
        optimizer.zero_grad()
        fabric.backward(losses["total"])
        clip_gradient(optimizer, fabric, config.train.grad_clip_norm)
        optimizer.step()
        if len(history) % DETECT_EVERY == 0:
            found = network.eval().detect([image])[0]
            if min(overlaps(truth, found)) >= FOUND_IOU:
                break
    if is_finite(history[-1]):
        found = network.eval().detect([image])[0]
    return history, found, time.monotonic() - begun


def write_picture(result: OverfitResult, dataset: CocoLikeDataset, path: Path) -> None:
    """Writes a PNG with the photo's ground truth beside the detections."""
    photo = dataset.load_image(result.position)
    sides = [draw_instances(photo, found, dataset.classes) for found in (result.truth, result.found)]
    with atomic_file(path) as temporary:
        Image.fromarray(contact_sheet(sides, 2, ["truth", "found"], 1000)).save(temporary, format="PNG")


def choose_photo(dataset: CocoLikeDataset) -> int:
    """The first photo that can be read and has objects, all of them with a mask, and no crowds.

    Raises:
        DataError: there is none.
        PhotoError: none of them can be read.
    """
    suitable = [
        position
        for position, entry in enumerate(dataset.images)
        if entry.annotations and not any(a.get("iscrowd") or is_box_only(a) for a in entry.annotations)
    ]
    if not suitable:
        raise DataError(
            "no photo has objects that all have a mask, and no crowd; look at the data with `clothseg dataset show`"
        )
    return first_readable(dataset, suitable)


def overlaps(truth: Instances, found: Instances) -> list[float]:
    """The mask IoU of each object with the best detection of its class that has a score of `FOUND_SCORE` or more."""
    iou = torch.from_numpy(mask_iou(found.masks.rle(), truth.masks.rle())).float().T
    fits = (truth.classes[:, None] == found.classes.cpu()[None]) & (found.scores.cpu() >= FOUND_SCORE)[None]
    best = torch.cat([iou * fits, torch.zeros((len(truth), 1))], dim=1).max(dim=1).values
    answer: list[float] = best.tolist()
    return answer


def contradictions(dataset: CocoLikeDataset, position: int, truth: Instances) -> list[str]:
    """Boxes of a photo that do not enclose their masks, in the network's targets and in the file."""
    tight = truth.masks.boxes()
    worst = box_iou(tight, truth.boxes).diagonal().min() if len(truth) else torch.tensor(1.0)
    found = [] if worst >= 0.5 else ["the boxes in the targets do not enclose their masks"]
    for annotation in dataset.images[position].annotations:
        if len(annotation.get("bbox") or ()) == 4:
            box = from_xywh(torch.tensor([annotation["bbox"]], dtype=torch.float32))
            if box_iou(box, tight).max() < 0.5:
                name = f"annotation {annotation.get('id')}"
                found.append(f"{name}: its bbox is not where its mask is; see `clothseg dataset check`")
    return found


def diagnose(
    network: Network,
    dataset: CocoLikeDataset,
    position: int,
    first: dict[str, float],
    last: dict[str, float],
    found: int,
) -> list[str]:
    """Why a photo was not learned, the likeliest cause first."""
    config = network.config
    rate = config.train.learning_rate
    causes = []
    entry = dataset.images[position]
    boxes = torch.tensor([a["bbox"] for a in entry.annotations if len(a.get("bbox") or ()) == 4])
    checks = network.preflight([((entry.height, entry.width), boxes.reshape(-1, 4).float())])
    high = [name for name, value in last.items() if name != "total" and value > max(SMALL, DECREASED * first[name])]
    if not all(map(math.isfinite, last.values())) or last["total"] > 2 * first["total"]:
        causes.append(f"the losses grew or broke: train.learning_rate={rate:g} is far too high; try a tenth of it")
    elif abs(last["total"] - first["total"]) < 0.05 * first["total"]:
        causes.append(
            f"the losses are not decreasing: train.learning_rate={rate:g} is far too low; try 10 or 100 times as much"
        )
    causes += [check.problem for check in checks if check.problem]
    if high:
        causes.append(f"{', '.join(high)} did not fall by half: look at the ground truth in the picture")
    if not found:
        causes.append(f"nothing is detected: inference.score_threshold is {config.inference.score_threshold:g}")
    return causes or ["all losses fell, but the masks are not there yet: train more steps, or with a larger input"]


def _mean(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}
