"""Examples for a step, with the frozen stages' outputs kept where nothing changes them."""

import torch
from torch import Tensor

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset, load_example
from clothseg.instances import Instances
from clothseg.networks import MaskRCNNNetwork
from clothseg.networks.mask_rcnn import Prepared


class Examples:
    """Losses of examples of a data set, by position and version.

    The outputs of frozen stages are kept when the frame is fixed and each photo has a fixed number of versions, as long
    as they fit into `train.keep_features_mb`; the others are computed again each time. The answer is the same.
    """

    def __init__(self, network: MaskRCNNNetwork, dataset: CocoLikeDataset, config: Config, augmented: bool) -> None:
        self.network, self.dataset = network, dataset
        self.settings = config.augment if augmented else None
        self.seed = config.train.seed
        self.fixed = (not augmented or config.augment.copies > 0) and config.picture.resize == "fit"
        self.bytes = config.train.keep_features_mb * 1_000_000
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

    def losses(self, batch: list[tuple[int, int]]) -> dict[str, Tensor]:
        """Losses by name for the examples at these positions and versions."""
        if self.keeps:
            return self.network.losses_prepared([self._prepared(*place) for place in batch])
        loaded = [self.load(*place) for place in batch]
        return self.network.losses([image for image, _ in loaded], [truth for _, truth in loaded])

    def prepare(self, position: int, version: int) -> None:
        """Run the frozen stages on an example now, if they will be kept."""
        if self.keeps:
            self._prepared(position, version)

    def _prepared(self, position: int, version: int) -> Prepared:
        found = self.kept.get((position, version))
        if found is None:
            found = self.network.prepare(*self.load(position, version))
            tensors = [*found.outputs.values(), found.target.masks]
            needed = sum(t.numel() * t.element_size() for t in tensors)
            if needed <= self.room:
                self.room -= needed
                self.kept[position, version] = found
        return found

    def load(self, position: int, version: int) -> tuple[Tensor, Instances]:
        """The photo as the network gets it, `[3, H, W]` in 0..1, and its truth."""
        return load_example(self.dataset, position, self.settings, version, self.seed)


@torch.no_grad()
def mean_losses(examples: Examples, batch_size: int, seed: int) -> dict[str, float]:
    """Mean of the losses over all photos of a data set, unchanged, with the same draws each time."""
    network = examples.network
    state, training = network.generator.get_state(), network.training
    network.generator.manual_seed(seed)
    network.eval()
    sums: dict[str, float] = {}
    positions = range(len(examples.dataset))
    try:
        for start in range(0, len(positions), batch_size):
            batch = [(position, 0) for position in positions[start : start + batch_size]]
            for name, loss in examples.losses(batch).items():
                sums[name] = sums.get(name, 0.0) + float(loss) * len(batch)
    finally:
        network.generator.set_state(state)
        network.train(training)
    return {name: value / len(positions) for name, value in sums.items()}
