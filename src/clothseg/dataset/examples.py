"""What a training example is: a photo with its ground truth, augmented, and prepared for the network's input."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from clothseg.config import AugmentSettings
from clothseg.dataset.augment import augment, cover_part, paste_instances, strong
from clothseg.dataset.coco import CocoLikeDataset
from clothseg.errors import DataError, PhotoError
from clothseg.instances import Instances
from clothseg.networks.input import InputTransform

Example = tuple[Tensor, Instances]
"""A photo `[3, H, W]` uint8 and its ground truth."""
MOST_DONORS = 5
"""Photos to try for copy-paste, if those before cannot be read."""


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
        """The example as `Network.losses` takes it: see `InputTransform.prepare`.

        Raises:
            PhotoError, DataError: it cannot be read.
        """
        return self.transform.prepare(*self.raw(position, version))


def load_example(
    dataset: CocoLikeDataset, position: int, settings: AugmentSettings | None, version: int = 0, seed: int = 0
) -> Example:
    """Loads a photo `[3, H, W]` uint8 and its instances, augmented with `settings`.

    Args:
        dataset: after `prepare`.
        position: of the photo.
        settings: the augmentation. None loads the photo without changes.
        version: the same photo, version and seed give the same result. With `fixed_views`, version 0 is not changed.
            Photos that a teacher labelled change more (`strong`), and give no objects for copy-paste.
        seed: of the random changes.

    A photo for copy-paste that cannot be read is replaced by another one.

    Raises:
        PhotoError: the photo cannot be read.
        DataError: a mask cannot be read, or the photo's size is wrong.
    """
    image, instances = _load(dataset, position)
    if settings is None or (settings.fixed_views and version == 0):
        return image, instances
    if position >= dataset.labelled:
        settings = strong(settings)
    own = np.random.SeedSequence([seed, position, version]).generate_state(1)[0]
    generator = torch.Generator().manual_seed(int(own))
    image, instances = augment(image, instances, settings, generator)
    if float(torch.rand((), generator=generator)) < settings.copy_paste:
        donor = _load_donor(dataset, int(torch.randint(dataset.labelled, (), generator=generator)), version, seed)
        if donor is not None:
            other = augment(*donor, settings, generator)
            image, instances = paste_instances(image, instances, *other, generator)
    return cover_part(image, settings, generator), instances


def substitutes(position: int, photos: int, seed: int, version: int) -> Iterator[int]:
    """The positions below `photos` without `position`, in the order in which they take its place if it is lost.

    Another version has others, so that no photo takes the places of many.
    """
    step = 1 + int(np.random.SeedSequence([seed, version]).generate_state(1)[0]) % photos
    while math.gcd(step, photos) != 1:  # or some are never reached
        step += 1
    for number in range(1, photos + 1):
        if (other := (position + number * step) % photos) != position:
            yield other


def _load_donor(dataset: CocoLikeDataset, position: int, version: int, seed: int) -> Example | None:
    """The labelled photo at `position` for copy-paste, or one that takes its place; None if some cannot be read."""
    others = substitutes(position, dataset.labelled, seed, version)
    for choice in (position, *islice(others, MOST_DONORS - 1)):
        try:
            return _load(dataset, choice)
        except (PhotoError, DataError):  # reported when it is this photo's own turn
            continue
    return None


def _load(dataset: CocoLikeDataset, position: int) -> Example:
    return torch.from_numpy(dataset.load_image(position)).permute(2, 0, 1), dataset.load_instances(position)
