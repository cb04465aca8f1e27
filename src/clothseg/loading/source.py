"""Where examples come from: a dataset, its augmentation, and the network's input."""

from dataclasses import dataclass

from torch import Tensor

from clothseg.config import AugmentSettings
from clothseg.dataset import CocoLikeDataset, load_example
from clothseg.instances import Instances
from clothseg.networks.input import InputTransform

Example = tuple[Tensor, Instances]
"""A photo `[3, H, W]` uint8 and its ground truth, as `InputTransform.prepare` gives them."""


@dataclass(frozen=True)
class ExampleSource:
    """Examples of a dataset, by position and version; the same in every process.

    Attributes:
        dataset: after `prepare`.
        augment: the augmentation; None for none.
        seed: of the augmentation.
        transform: to the input of the network.
    """

    dataset: CocoLikeDataset
    augment: AugmentSettings | None
    seed: int
    transform: InputTransform

    def raw(self, position: int, version: int) -> Example:
        """The photo and its ground truth in the photo's own size, augmented.

        Raises:
            PhotoError, DataError: they cannot be read.
        """
        return load_example(self.dataset, position, self.augment, version, self.seed)

    def load(self, position: int, version: int) -> Example:
        """The example as `Network.losses` takes it.

        Raises:
            PhotoError, DataError: it cannot be read.
        """
        return self.transform.prepare(*self.raw(position, version))
