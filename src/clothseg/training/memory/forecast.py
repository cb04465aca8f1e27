"""What a training will need of memory, told before it begins.

The step is run once without numbers (`networks.outline`), and the tensors that live at once are counted; one photo, the
largest, is loaded and changed. Nothing of it needs the memory that it foretells.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset, load_example
from clothseg.networks import MaskRCNNNetwork, build_network
from clothseg.networks.build import conventions_for
from clothseg.networks.input import place_window
from clothseg.networks.mask_rcnn.memory_probe import outline_loss
from clothseg.networks.resize import padded_size, resize_target
from clothseg.training.memory.tensors import LiveBytes
from clothseg.training.optimizer import make_optimizer

FIRST_USE = 60_000_000
"""What libraries take when first used (threads, kernels, drawing); found by `benchmarks/forecast_memory.py`."""


@dataclass(frozen=True)
class PhotoNeeds:
    """What the photos of a data set need.

    Attributes:
        sizes: the different heights and widths.
        photos: how many there are.
        objects, most: on a photo in the mean, and at most.
        held: bytes of the largest example while the network learns from it.
        making: most bytes while it is made.
    """

    sizes: list[tuple[int, int]]
    photos: int
    objects: float
    most: int
    held: int
    making: int


@dataclass(frozen=True)
class Forecast:
    """Bytes at the fullest moment of a training, by what they are for.

    Attributes:
        libraries: the program, its libraries and the data set's tables; on a GPU nothing.
        weights, gradients, optimizer, average: of the network.
        kept: outputs of frozen stages.
        activations: what a step needs beyond all of these.
        photos: those of a batch, and the making of one.
    """

    libraries: int
    weights: int
    gradients: int
    optimizer: int
    average: int
    kept: int
    activations: int
    photos: int

    @property
    def total(self) -> int:
        """All together."""
        return sum(getattr(self, field.name) for field in fields(self))


def photo_needs(dataset: CocoLikeDataset, config: Config) -> PhotoNeeds:
    """Load and change the largest photo, and count.

    Raises:
        PhotoError, DataError: it cannot be read.
    """
    counts = [len(entry.annotations) for entry in dataset.images]
    areas = [entry.height * entry.width for entry in dataset.images]
    largest = max(range(len(areas)), key=lambda i: areas[i] * (12 + counts[i]))  # 3 floats, and a byte for each object
    with LiveBytes() as live:
        image, truth = load_example(dataset, largest, config.augment, 1, config.train.seed)
        held = live.now
        size = config.picture.resized(truth.size)
        target = resize_target(truth, place_window(size, size, conventions_for(config)))
    del image, target
    decoded = areas[largest] * (3 + counts[largest])  # made by other libraries, which are not counted
    sizes = sorted({(entry.height, entry.width) for entry in dataset.images})
    return PhotoNeeds(sizes, len(counts), sum(counts) / len(counts), max(counts), held, live.peak + decoded)


def forecast(
    config: Config, classes: int, train: PhotoNeeds, val: PhotoNeeds, device: torch.device, libraries: int
) -> Forecast:
    """What the fullest moment of a training needs.

    Args:
        config: of the network and the training.
        classes: besides background.
        train, val: the photos.
        device: that the network learns on.
        libraries: what the process has in memory without the network; see `Forecast`.

    Raises:
        ConfigError: the backbone is not known.
    """
    frozen = {stage.layers for stage in config.train.stages} or {config.backbone.frozen_stages}
    with _without_numbers(config):
        network = build_network(config, classes)
        stages = [_stage_forecast(network, config, number, train, val, device) for number in sorted(frozen)]
    fullest = max(stages, key=lambda stage: stage.total)
    return replace(fullest, libraries=libraries + FIRST_USE) if device.type == "cpu" else fullest


def _stage_forecast(
    network: MaskRCNNNetwork, config: Config, frozen: int, train: PhotoNeeds, val: PhotoNeeds, device: torch.device
) -> Forecast:
    settings, on_cpu = config.train, device.type == "cpu"
    network.backbone.freeze(frozen)
    optimizer = make_optimizer(network, settings, settings.learning_rate)
    gradients = sum(_size(p) for p in network.parameters() if p.requires_grad)
    fullest = _step_bytes(network, config, train, on_cpu=on_cpu)
    with LiveBytes() as live:
        optimizer.step()
    changing = live.peak - live.now + (0 if on_cpu else gradients)  # on a GPU all weights are changed at once
    weights = sum(_size(t) for t in network.state_dict().values())
    average = sum(_size(p) for p in network.parameters()) if settings.average else 0
    writing = weights if on_cpu else average  # a copy for their file; validation puts them aside for their average
    photos = max(settings.batch_size * train.held, (settings.batch_size - 1) * train.held + train.making)
    return Forecast(
        libraries=0,
        weights=weights,
        gradients=gradients,
        optimizer=live.now,
        average=average,
        kept=_kept_bytes(network, config, train, config.augment.copies) + _kept_bytes(network, config, val, 1),
        activations=max(fullest - gradients, changing, writing),
        photos=photos if on_cpu else 0,
    )


def _without_numbers(config: Config) -> AbstractContextManager[object]:
    """Tensors made within it have no numbers.

    Those of `meta` do for full precision. Autocast, which decides by the device, needs fake ones, which are slow.
    """
    return torch.device("meta") if config.train.precision == "32-true" else FakeTensorMode()


def _step_bytes(network: MaskRCNNNetwork, config: Config, photos: PhotoNeeds, *, on_cpu: bool) -> int:
    """Most bytes of tensors, gradients among them, that live at once in a step before the weights change."""
    settings = config.train
    precision = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(settings.precision)
    shape = (settings.batch_size, 3, *input_size(config, network, photos))
    with LiveBytes() as live:
        for _ in range(min(settings.accumulate, 2)):  # the second backward pass begins with all gradients there
            with torch.autocast("cpu", precision) if precision else nullcontext():
                outputs = network.backbone.frozen_part(torch.empty(shape))
                loss = outline_loss(network, outputs, photos.most, on_cpu=on_cpu)
            del outputs
            torch.autograd.backward(loss)
            del loss
    peak: int = live.peak
    return peak


def input_size(config: Config, network: MaskRCNNNetwork, photos: PhotoNeeds) -> tuple[int, int]:
    """Height and width of the largest input that a batch of these photos can make."""
    picture, conventions = config.picture, network.conventions
    sizes = [picture.resized(size, conventions.size_rounding) for size in photos.sizes]
    if config.train.batch_size > 1:  # a high and a wide one share an input
        return padded_size(sizes, picture, conventions)
    return max((padded_size([size], picture, conventions) for size in sizes), key=lambda size: size[0] * size[1])


def _kept_bytes(network: MaskRCNNNetwork, config: Config, photos: PhotoNeeds, versions: int) -> int:
    """Of the outputs of frozen stages and the truth of every version of every photo, as far as they may be kept."""
    if not (versions and network.backbone.frozen and config.picture.resize == "fit"):
        return 0
    height, width = config.picture.height, config.picture.width
    outputs = network.backbone.frozen_part(torch.empty((1, 3, *input_size(config, network, photos))))
    each = sum(_size(x) for x in outputs.values()) + photos.objects * height * width
    return min(config.train.keep_features_mb * 1_000_000, int(photos.photos * versions * each))


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
