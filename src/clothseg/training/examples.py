"""Losses of a dataset's examples, with the outputs of frozen stages cached while nothing changes them."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from clothseg.config import Config
from clothseg.dataset import Batch, CocoLikeDataset, load_example
from clothseg.distributed import DistributedContext, single_process
from clothseg.instances import Instances
from clothseg.networks import Network
from clothseg.networks.network import CachedFeatures


class Examples:
    """Losses of a dataset's examples, by position and version.

    The outputs of frozen stages are cached if the frame is fixed and each photo has a fixed number of versions, up to
    `train.feature_cache_mb`; the others are computed each time. The losses are the same.

    Attributes:
        network: the network itself.
        learner: the network as it is called for losses, wrapped for the devices of the training.
        autocast: makes a context in which the network computes in the precision of the training; none by default.
    """

    def __init__(self, network: Network, dataset: CocoLikeDataset, config: Config, augmented: bool) -> None:
        self.network, self.learner, self.dataset = network, network, dataset
        self.autocast: Callable[[], AbstractContextManager[Any]] = nullcontext
        self.settings = config.augment if augmented else None
        self.seed = config.train.seed
        self.fixed = (not augmented or config.augment.fixed_views > 0) and config.input.resize == "fit"
        self.bytes = config.train.feature_cache_mb * 1_000_000
        workers = config.train.workers if augmented else 0
        self.threads = ThreadPoolExecutor(workers, "loader") if workers else None
        self.pending: dict[tuple[int, int], Future[tuple[Tensor, Instances]]] = {}
        self.clear_cache()

    def clear_cache(self) -> None:
        """Empties the cache: other stages are frozen now."""
        self.caches = self.fixed and self.network.backbone.frozen > 0
        self.budget = self.bytes
        self.cached: dict[tuple[int, int], CachedFeatures] = {}

    def disable_cache(self) -> None:
        """Empties the cache, and caches nothing any more."""
        self.bytes = 0
        self.clear_cache()

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Losses by name for the examples at these positions and versions."""
        if self.caches:
            with self.autocast():
                return self.learner.losses_cached([self.features(*place) for place in batch])
        loaded = [self._loaded(*place) for place in batch]
        with self.autocast():
            return self.learner.losses([image for image, _ in loaded], [truth for _, truth in loaded])

    def features(self, position: int, version: int) -> CachedFeatures:
        """The outputs of the frozen stages for an example, from the cache if they are there."""
        found = self.cached.get((position, version))
        if found is None:
            found = self.network.cache_features(*self._loaded(position, version))
            if found.nbytes <= self.budget:
                self.budget -= found.nbytes
                self.cached[position, version] = found
        return found

    def prefetch(self, places: Batch) -> None:
        """Starts to load these examples in threads, and drops others that were started."""
        if self.threads is None:
            return
        missing = [place for place in places if place not in self.cached]
        self.pending = {
            place: self.pending.get(place) or self.threads.submit(self._load_pinned, *place) for place in missing
        }

    def _load_pinned(self, position: int, version: int) -> tuple[Tensor, Instances]:
        image, truth = self.load(position, version)
        return (image.pin_memory() if self.network.device.type == "cuda" else image), truth

    def _loaded(self, position: int, version: int) -> tuple[Tensor, Instances]:
        started = self.pending.pop((position, version), None)
        return started.result() if started else self.load(position, version)

    def load(self, position: int, version: int) -> tuple[Tensor, Instances]:
        """The photo as the network gets it, `[3, H, W]` in 0..1, and its ground truth."""
        return load_example(self.dataset, position, self.settings, version, self.seed)


@torch.no_grad()
def mean_losses(examples: Examples, batch_size: int, seed: int, distributed: DistributedContext) -> dict[str, float]:
    """Mean losses over all photos of a dataset, without augmentation, with the same draws each time.

    Whole batches are shared among the ranks, so that the answer does not depend on their number.
    """
    network = examples.network
    state, training = network.generator.get_state(), network.training
    network.eval()
    sums = dict.fromkeys(("total", *network.loss_names), 0.0)
    photos = len(examples.dataset)
    try:
        with single_process(network):
            for number, start in enumerate(range(0, photos, batch_size)):
                if number % distributed.world_size == distributed.rank:
                    network.generator.manual_seed(seed + number)
                    batch = [(position, 0) for position in range(start, min(start + batch_size, photos))]
                    for name, loss in examples.losses(batch).items():
                        sums[name] += float(loss) * len(batch)
    finally:
        network.generator.set_state(state)
        network.train(training)
    return {name: value / photos for name, value in zip(sums, distributed.sum(list(sums.values())), strict=True)}
