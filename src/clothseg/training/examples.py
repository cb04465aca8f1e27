"""The examples of a training and their losses: loaded before they are needed, and cached up to the frozen stages."""

import gc
import time
import warnings
from collections.abc import Callable, Container, Iterable
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor

from clothseg.config import Config
from clothseg.dataset import Batch, CocoLikeDataset, Example, ExampleSource
from clothseg.distributed import DistributedContext, single_process
from clothseg.errors import ClothsegError, DataError, PhotoError
from clothseg.loading import WorkerPool
from clothseg.networks import Network
from clothseg.networks.network import CachedFeatures
from clothseg.training.lost_photos import LostPhotos


class ExampleQueue:
    """Examples of one source, loaded before they are needed.

    Attributes:
        source: of the examples.
        pool: of the workers.
        pending: what the workers load, or have loaded.
        waited: seconds that `take` took.
    """

    def __init__(self, source: ExampleSource, pool: WorkerPool) -> None:
        self.source, self.pool, self.waited = source, pool, 0.0
        self.pending: dict[tuple[int, int], Future[Example]] = {}
        self._number = pool.add(source)

    def prefetch(self, places: Iterable[tuple[int, int]]) -> None:
        """Starts to load the examples at these positions and versions, and drops others that were started."""
        if not self.pool.workers:
            return
        before, self.pending = self.pending, {}
        for place in dict.fromkeys(places):
            started = before.pop(place) if place in before else self.pool.submit(self._number, *place)
            self.pending[place] = started
        for dropped in before.values():
            dropped.cancel()

    def take(self, position: int, version: int) -> Example:
        """The example, when it is loaded; loaded here if it was not started.

        Raises:
            PhotoError, DataError: it cannot be read.
            RunError: a worker process is gone.
        """
        started = time.perf_counter()
        pending = self.pending.pop((position, version), None)
        try:
            return pending.result() if pending else self.source.load(position, version)
        finally:
            self.waited += time.perf_counter() - started


class Examples:
    """Losses of a dataset's examples, by position and version.

    The outputs of frozen stages are cached if the frame is fixed and each photo has a fixed number of versions, up to
    `train.feature_cache_mb`; the others are computed each time. The losses are the same.

    Attributes:
        network: the network itself.
        learner: the network as it is called for losses, wrapped for the devices of the training.
        autocast: makes a context in which the network computes in the precision of the training; none by default.
        queue: of the examples, which the workers of a pool load.
        lost: the training photos that cannot be read, in whose places are others; None: each photo must be readable.
    """

    def __init__(
        self,
        network: Network,
        dataset: CocoLikeDataset,
        config: Config,
        augmented: bool,
        pool: WorkerPool | None = None,
    ) -> None:
        self.network, self.learner, self.dataset = network, network, dataset
        self.autocast: Callable[[], AbstractContextManager[Any]] = nullcontext
        source = ExampleSource(dataset, config.augment if augmented else None, config.train.seed, network.transform)
        self.queue = ExampleQueue(source, pool or WorkerPool(0))
        self.lost: LostPhotos | None = None
        self.fixed = (not augmented or config.augment.fixed_views > 0) and config.input.has_fixed_frame
        self.bytes = config.train.feature_cache_mb * 1_000_000
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

    def forget(self, positions: Container[int]) -> None:
        """Drops what is loaded or cached of these positions, whose ground truth has changed."""
        self.queue.prefetch([])
        kept = {place: features for place, features in self.cached.items() if place[0] not in positions}
        self.budget += sum(features.nbytes for place, features in self.cached.items() if place not in kept)
        self.cached = kept

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Losses by name for the examples at these positions and versions."""
        if self.caches:
            with self.autocast():
                return self.learner.losses_cached([self.features(*place) for place in batch])
        loaded = [self.take(*place) for place in batch]
        with self.autocast():
            return self.learner.losses([image for image, _ in loaded], [truth for _, truth in loaded])

    def features(self, position: int, version: int) -> CachedFeatures:
        """The outputs of the frozen stages for an example, from the cache if they are there."""
        found = self.cached.get((position, version))
        if found is None:
            found = self.network.cache_features(*self.take(position, version))
            if found.nbytes <= self.budget:
                self.budget -= found.nbytes
                self.cached[position, version] = found
        return found

    def prefetch(self, places: Batch) -> None:
        """Starts to load these examples, except those in the cache, and drops others that were started."""
        self.queue.prefetch((self.photo_for(*place), place[1]) for place in places if place not in self.cached)

    def photo_for(self, position: int, version: int) -> int:
        """The position of the photo that is used at a place: another one if this photo is lost."""
        return self.lost.in_place_of(position, version) if self.lost else position

    def take(self, position: int, version: int) -> Example:
        """The example at a place, prepared; a training photo that cannot be read is lost, and another one is taken.

        Raises:
            PhotoError, DataError: a validation photo cannot be read, or too many training photos.
        """
        while True:
            photo = self.photo_for(position, version)
            try:
                return self.queue.take(photo, version)
            except (PhotoError, DataError) as error:
                if self.lost is None:
                    raise
                self.lost.add(photo, error)

    def load(self, position: int, version: int) -> Example:
        """The augmented photo `[3, H, W]` uint8 and its ground truth, in the photo's own size."""
        return self.queue.source.raw(self.photo_for(position, version), version)


def wrap_for_losses(fabric: Fabric, network: Network) -> Network:
    """The network on its device, to be called for losses; the ranks share the gradients of what is trained now."""
    gc.collect()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*forward_sync_buffers")  # the buffers are constants
        wrapped = fabric.setup_module(network)
    for method in ("losses", "losses_cached"):
        wrapped.mark_forward_method(method)
    wrapped.train()
    return cast(Network, wrapped)


@torch.no_grad()
def mean_losses(
    examples: Examples, batch_size: int, seed: int, distributed: DistributedContext
) -> tuple[dict[str, float], list[str]]:
    """Mean losses over all photos of a dataset, without augmentation, with the same draws each time.

    Whole batches are shared among the ranks, so that the answer does not depend on their number.

    Returns:
        The losses by name, and a message for each photo that cannot be read any more: the means are without it.

    Raises:
        PhotoError, DataError: none of the photos can be read.
    """
    network = examples.network
    state, training = network.generator.get_state(), network.training
    network.eval()
    sums = dict.fromkeys(("total", *network.loss_names), 0.0)
    read, unread = 0, list[ClothsegError]()
    places = [(position, 0) for position in range(len(examples.dataset))]
    batches = list(enumerate(places[start : start + batch_size] for start in range(0, len(places), batch_size)))
    own = distributed.strided_shard(batches)
    ahead = examples.queue.pool.batches_ahead(batch_size)
    try:
        with single_process(network):
            for count, (number, batch) in enumerate(own):
                examples.prefetch([place for _, later in own[count : count + ahead + 1] for place in later])
                try:
                    network.generator.manual_seed(seed + number)
                    losses = examples.losses(batch)
                except (PhotoError, DataError):
                    batch, lost = _readable(examples, batch)  # noqa: PLW2901
                    unread += lost
                    network.generator.manual_seed(seed + number)
                    losses = examples.losses(batch) if batch else {}
                read += len(batch)
                for name, loss in losses.items():
                    sums[name] += float(loss) * len(batch)
    finally:
        network.generator.set_state(state)
        network.train(training)
    *values, photos = distributed.sum([*sums.values(), float(read)])
    messages = distributed.gather([str(error) for error in unread])
    if not photos:
        raise PhotoError(f"no validation photo can be read; the first: {messages[0]}")
    return {name: value / photos for name, value in zip(sums, values, strict=True)}, messages


def _readable(examples: Examples, batch: Batch) -> tuple[Batch, list[ClothsegError]]:
    """The examples of a batch that can be loaded, and why the others cannot."""
    kept: Batch = []
    lost: list[ClothsegError] = []
    for place in batch:
        try:
            examples.load(*place)
        except (PhotoError, DataError) as error:
            lost.append(error)
        else:
            kept.append(place)
    return kept, lost
