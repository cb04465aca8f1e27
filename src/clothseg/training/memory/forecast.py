"""The memory that a training will need, forecast before it begins.

The step runs once without values (`Network.memory_probe`), and the tensors that live at the same time are counted; the
largest photo is loaded and augmented. Nothing here needs the memory that it forecasts.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset, load_example
from clothseg.dataset.readable import first_readable
from clothseg.devices import Precision, resolve_precision
from clothseg.distributed import local_world_size
from clothseg.instances import CocoAnnotation, CropMasks, from_box, is_box_only
from clothseg.loading import WorkerPool
from clothseg.networks import Network, build_network, input_transform
from clothseg.training.memory.device import resident, shares_main_memory
from clothseg.training.memory.tensors import LiveBytes
from clothseg.training.schedule import make_optimizer

FIRST_USE = 130_000_000
"""Bytes that libraries take at first use (threads, kernels, drawing), from `benchmarks/forecast_memory.py`."""

_MASKS_AT_A_TIME = 4
"""Masks of the photo's size while one is augmented: decoded, flipped, moved, and what hides it."""


@dataclass(frozen=True)
class PhotoNeeds:
    """The memory that the photos of a dataset need.

    Attributes:
        sizes: the different heights and widths.
        photos: how many there are.
        masks: mean number of objects with a mask on a photo.
        most, most_masks: largest number of objects on a photo, and of objects with a mask.
        held: bytes of the largest example while it waits for its step.
        making: peak bytes while it is loaded, and made an input.
        pixels: bytes of all photos.
    """

    sizes: list[tuple[int, int]]
    photos: int
    masks: float
    most: int
    most_masks: int
    held: int
    making: int
    pixels: int


@dataclass(frozen=True)
class Forecast:
    """Bytes at the peak of a training, by what they are for.

    Attributes:
        libraries: the program, its libraries and the dataset's tables; on a GPU nothing.
        weights, gradients, optimizer, ema: of the network.
        cached: outputs of frozen stages, and on a CPU decoded photos.
        activations: what a step needs beyond these.
        photos: those of a batch and of the next ones, and one that is being loaded.
    """

    libraries: int
    weights: int
    gradients: int
    optimizer: int
    ema: int
    cached: int
    activations: int
    photos: int

    @property
    def total(self) -> int:
        """The sum."""
        return sum(getattr(self, field.name) for field in fields(self))


def photo_needs(dataset: CocoLikeDataset, config: Config) -> PhotoNeeds:
    """Loads and augments the largest photo that can be read, and counts.

    Raises:
        PhotoError, DataError: none can be read.
    """
    counts = [sum(not is_box_only(row) for row in entry.annotations) for entry in dataset.images]
    areas = [entry.height * entry.width for entry in dataset.images]
    transform = input_transform(config)

    def needed(position: int) -> int:
        """About 3 floats for a pixel of the photo, and a byte for one of the input for each mask."""
        entry = dataset.images[position]
        height, width = transform.resized((entry.height, entry.width))
        return 12 * areas[position] + counts[position] * height * width

    positions = sorted(range(len(areas)), key=needed, reverse=True)
    largest = first_readable(dataset, positions)
    with LiveBytes() as live:
        photo, objects = load_example(dataset, largest, config.augment, 1, config.train.seed)
        crops = sum(crop.nbytes for crop in objects.masks.crops) if isinstance(objects.masks, CropMasks) else 0
        image, truth = transform.prepare(photo, objects)
        del photo, objects
        pixels, placements = transform.batch([image], torch.device("cpu"))
        target = transform.target(truth, placements[0])
    held = image.nbytes + truth.masks.select(truth.has_mask.nonzero()[:, 0]).pixels().nbytes
    del pixels, target
    # made by other libraries, which are not counted: the photo, some masks of its size, and all that copy-paste joins
    decoded = areas[largest] * (3 + _MASKS_AT_A_TIME) + (2 if config.augment.copy_paste else 1) * crops
    sizes = sorted({(entry.height, entry.width) for entry in dataset.images})
    most = max(len(entry.annotations) for entry in dataset.images)
    making = live.peak + decoded
    return PhotoNeeds(sizes, len(counts), sum(counts) / len(counts), most, max(counts), held, making, 3 * sum(areas))


def forecast(
    config: Config, classes: int, train: PhotoNeeds, val: PhotoNeeds, device: torch.device, libraries: int
) -> Forecast:
    """The memory of a training at its peak.

    Args:
        config: of the network and the training.
        classes: besides background.
        train, val: the photos.
        device: that the network learns on.
        libraries: what the process has in memory without the network; see `Forecast`.

    Raises:
        ConfigError: the backbone is not known.
    """
    frozen = {stage.frozen_stages for stage in config.train.stages} or {config.backbone.frozen_stages}
    precision = resolve_precision(config.train.precision, device)
    with _without_values(precision):
        network = build_network(config, classes)
        stages = [_stage_forecast(network, config, number, train, val, device) for number in sorted(frozen)]
    peak = max(stages, key=lambda stage: stage.total)
    return replace(peak, libraries=libraries + FIRST_USE) if shares_main_memory(device) else peak


def _stage_forecast(
    network: Network, config: Config, frozen: int, train: PhotoNeeds, val: PhotoNeeds, device: torch.device
) -> Forecast:
    settings, on_cpu = config.train, device.type == "cpu"
    network.backbone.freeze(frozen)
    optimizer = make_optimizer(network, settings, settings.learning_rate)
    gradients = sum(_size(p) for p in network.parameters() if p.requires_grad)
    peak = _step_bytes(network, config, train, device)
    with torch.device("cpu"), LiveBytes() as live:  # AdamW reads its step counters; torch 2.11 makes them on `meta`
        optimizer.step()
    changing = live.peak - live.now + (0 if on_cpu else gradients)  # on a GPU all weights are changed at once
    weights = sum(_size(t) for t in network.state_dict().values())
    ema = sum(_size(p) for p in network.parameters()) if settings.ema_decay else 0
    writing = weights if on_cpu else ema  # a copy for their file; validation swaps them for the EMA
    pool = WorkerPool.for_training(settings, device, local_world_size(settings.devices))
    batches = 1 + (pool.batches_ahead(settings.batch_size) if pool.workers else 0)
    photos = batches * settings.batch_size * train.held + train.making
    cached = _cached_bytes(network, config, train, config.augment.fixed_views) + _cached_bytes(network, config, val, 1)
    if on_cpu and not (config.augment.fixed_views and config.input.has_fixed_frame):
        cached += min(settings.image_cache_mb * 1_000_000, train.pixels)
    return Forecast(
        libraries=0,
        weights=weights,
        gradients=gradients,
        optimizer=live.now,
        ema=ema,
        cached=cached,
        activations=max(peak - gradients, changing, writing),
        photos=photos if shares_main_memory(device) else 0,
    )


def _without_values(precision: Precision) -> AbstractContextManager[object]:
    """Tensors made within it have no values.

    Those on `meta` do for full precision. Autocast, which decides by the device, needs fake tensors, which are slow.
    """
    return torch.device("meta") if precision == "32-true" else FakeTensorMode()


def _step_bytes(network: Network, config: Config, photos: PhotoNeeds, device: torch.device) -> int:
    """Most bytes of tensors, gradients among them, that live at once in a step before the weights change."""
    settings = config.train
    precision = resolve_precision(settings.precision, device)
    dtype = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(precision)
    shape = (settings.batch_size, 3, *input_size(config, network, photos))
    with LiveBytes() as live:
        for _ in range(min(settings.grad_accumulation_steps, 2)):  # the second backward begins with all gradients there
            with torch.autocast("cpu", dtype) if dtype else nullcontext():
                outputs = network.backbone.forward_frozen(torch.empty(shape))
                of_photo = photos.most, photos.most_masks
                loss = network.memory_probe(outputs, *of_photo, on_cpu=device.type == "cpu")
            del outputs
            torch.autograd.backward(loss)
            del loss
    peak: int = live.peak
    return peak


def input_size(config: Config, network: Network, photos: PhotoNeeds) -> tuple[int, int]:
    """Height and width of the largest input that a batch of these photos can have."""
    transform = network.transform
    sizes = [transform.resized(size) for size in photos.sizes]
    if config.train.batch_size > 1:  # a high and a wide one share an input
        return transform.padded(sizes)
    return max((transform.padded([size]) for size in sizes), key=lambda size: size[0] * size[1])


def _cached_bytes(network: Network, config: Config, photos: PhotoNeeds, versions: int) -> int:
    """Of the frozen stages' outputs and the ground truth of every version of every photo, as far as they are cached."""
    if not (versions and network.backbone.frozen and config.input.has_fixed_frame):
        return 0
    height, width = config.input.height, config.input.width
    outputs = network.backbone.forward_frozen(torch.empty((1, 3, *input_size(config, network, photos))))
    each = sum(_size(x) for x in outputs.values()) + photos.masks * height * width
    return min(config.train.feature_cache_mb * 1_000_000, int(photos.photos * versions * each))


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def forecast_memory(
    config: Config, train: CocoLikeDataset, val: CocoLikeDataset, device: torch.device, network: nn.Module | None = None
) -> Forecast:
    """The forecast for a dataset in this process.

    Args:
        config: of network and training.
        train, val: prepared.
        device: that is trained on.
        network: the one that is in memory already, if it is.

    Raises:
        PhotoError, DataError: no photo can be read.
    """
    there = sum(tensor.nbytes for tensor in network.state_dict().values()) if network else 0
    libraries = max(0, resident() - there)
    learned = _with_masks_for_boxes(train) if config.box_labels.pseudo_masks else train
    needs = photo_needs(learned, config), photo_needs(val, config)
    return forecast(config, len(train.classes), *needs, device, libraries)


def _with_masks_for_boxes(dataset: CocoLikeDataset) -> CocoLikeDataset:
    """The same dataset in which objects without a mask have a filled box as the mask that they may get."""
    other = dataset.only([entry.id for entry in dataset.images])
    for position, entry in enumerate(other.images):
        size = entry.height, entry.width
        rows: list[CocoAnnotation] = [
            {**row, "segmentation": {**from_box(row["bbox"], size)}} if is_box_only(row) else row
            for row in entry.annotations
        ]
        other.images[position] = replace(entry, annotations=rows)
    return other
