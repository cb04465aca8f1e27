"""Examples for a step, with the frozen stages' outputs kept where nothing changes them."""

from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset, load_example
from clothseg.instances import Instances
from clothseg.networks import MaskRCNNNetwork
from clothseg.networks.mask_rcnn.network import Prepared
from clothseg.training.history import LOSSES
from clothseg.training.team import Team, alone

Batch = list[tuple[int, int]]
"""Positions of photos and their versions."""


class Examples:
    """Losses of examples of a data set, by position and version.

    The outputs of frozen stages are kept when the frame is fixed and each photo has a fixed number of versions, as long
    as they fit into `train.keep_features_mb`; the others are computed again each time. The answer is the same.

    Attributes:
        network: the network itself.
        learner: the network as it is called for losses, wrapped for the precision and the devices of the training.
    """

    def __init__(self, network: MaskRCNNNetwork, dataset: CocoLikeDataset, config: Config, augmented: bool) -> None:
        self.network, self.learner, self.dataset = network, network, dataset
        self.settings = config.augment if augmented else None
        self.seed = config.train.seed
        self.fixed = (not augmented or config.augment.copies > 0) and config.picture.resize == "fit"
        self.bytes = config.train.keep_features_mb * 1_000_000
        workers = config.train.workers if augmented else 0
        self.threads = ThreadPoolExecutor(workers, "loader") if workers else None
        self.coming: dict[tuple[int, int], Future[tuple[Tensor, Instances]]] = {}
        self.forget()

    def forget(self) -> None:
        """Keep nothing of what was kept: other stages are frozen now."""
        self.keeps = self.fixed and self.network.backbone.frozen > 0
        self.room = self.bytes
        self.kept: dict[tuple[int, int], Prepared] = {}

    def keep_nothing(self) -> None:
        """Let go what was kept, and keep nothing any more."""
        self.bytes = 0
        self.forget()

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Losses by name for the examples at these positions and versions."""
        if self.keeps:
            return self.learner.losses_prepared([self._prepared(*place) for place in batch])
        loaded = [self._loaded(*place) for place in batch]
        return self.learner.losses([image for image, _ in loaded], [truth for _, truth in loaded])

    def prepare(self, position: int, version: int) -> None:
        """Run the frozen stages on an example now, if they will be kept."""
        if self.keeps:
            self._prepared(position, version)

    def _prepared(self, position: int, version: int) -> Prepared:
        found = self.kept.get((position, version))
        if found is None:
            found = self.network.prepare(*self._loaded(position, version))
            tensors = [*found.outputs.values(), found.target.masks]
            needed = sum(t.numel() * t.element_size() for t in tensors)
            if needed <= self.room:
                self.room -= needed
                self.kept[position, version] = found
        return found

    def expect(self, places: Batch) -> None:
        """Begin to load these examples now, in threads of their own, and forget others that were begun."""
        if self.threads is None:
            return
        wanted = [place for place in places if place not in self.kept]
        self.coming = {
            place: self.coming.get(place) or self.threads.submit(self._load_ahead, *place) for place in wanted
        }

    def _load_ahead(self, position: int, version: int) -> tuple[Tensor, Instances]:
        image, truth = self.load(position, version)
        return (image.pin_memory() if torch.cuda.is_available() else image), truth

    def _loaded(self, position: int, version: int) -> tuple[Tensor, Instances]:
        begun = self.coming.pop((position, version), None)
        return begun.result() if begun else self.load(position, version)

    def load(self, position: int, version: int) -> tuple[Tensor, Instances]:
        """The photo as the network gets it, `[3, H, W]` in 0..1, and its truth."""
        return load_example(self.dataset, position, self.settings, version, self.seed)


@torch.no_grad()
def mean_losses(examples: Examples, batch_size: int, seed: int, team: Team) -> dict[str, float]:
    """Mean of the losses over all photos of a data set, unchanged, with the same draws each time.

    The batches are shared out among the processes, whole, so that the answer is the same however many there are.
    """
    network = examples.network
    state, training = network.generator.get_state(), network.training
    network.eval()
    sums = dict.fromkeys(LOSSES, 0.0)
    photos, rank, processes = len(examples.dataset), team.share.rank, team.share.processes
    try:
        with alone(network):
            for number, start in enumerate(range(0, photos, batch_size)):
                if number % processes == rank:
                    network.generator.manual_seed(seed + number)
                    batch = [(position, 0) for position in range(start, min(start + batch_size, photos))]
                    for name, loss in examples.losses(batch).items():
                        sums[name] += float(loss) * len(batch)
    finally:
        network.generator.set_state(state)
        network.train(training)
    return {name: value / photos for name, value in zip(sums, team.total(list(sums.values())), strict=True)}
