"""Loads and augments photos, and samples them in random order."""

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from clothseg.config import AugmentSettings
from clothseg.dataset.augment import augment, cover_part, paste_instances, strong
from clothseg.dataset.coco import CocoLikeDataset
from clothseg.instances import Instances

Batch = list[tuple[int, int]]
"""Positions of photos, each with the number of its augmented version."""


def load_example(
    dataset: CocoLikeDataset, position: int, settings: AugmentSettings | None, version: int = 0, seed: int = 0
) -> tuple[Tensor, Instances]:
    """Loads a photo `[3, H, W]` uint8 and its instances, augmented with `settings`.

    Args:
        dataset: after `prepare`.
        position: of the photo.
        settings: the augmentation. None loads the photo without changes.
        version: the same photo, version and seed give the same result. With `fixed_views`, version 0 is not changed.
            Photos that a teacher labelled change more (`strong`), and give no objects for copy-paste.
        seed: of the random changes.

    Raises:
        PhotoError: a photo cannot be read.
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
        donor = int(torch.randint(dataset.labelled, (), generator=generator))
        other = augment(*_load(dataset, donor), settings, generator)
        image, instances = paste_instances(image, instances, *other, generator)
    return cover_part(image, settings, generator), instances


def _load(dataset: CocoLikeDataset, position: int) -> tuple[Tensor, Instances]:
    return torch.from_numpy(dataset.load_image(position)).permute(2, 0, 1), dataset.load_instances(position)


class Sampler:
    """Endless batches of (position, version). Each epoch has every photo once, in a new random order.

    Args:
        photos: the number of photos.
        batch_size: positions per batch. A batch may contain the end of one epoch and the start of the next.
        versions: the number of fixed versions of each photo. 0: every draw gets a new version number.
        seed: of the order.
        repeats: how often each photo occurs in an epoch. 1.3 means once, or twice with probability 0.3. None: once.
    """

    def __init__(
        self, photos: int, batch_size: int, versions: int, seed: int, repeats: Sequence[float] | None = None
    ) -> None:
        self.repeats = None if repeats is None else torch.tensor(repeats)
        self.photos, self.batch_size, self.versions = photos, batch_size, versions
        self.generator = torch.Generator().manual_seed(seed)
        self.waiting: list[int] = []
        self.draws = 0
        self._drawn: deque[tuple[dict[str, Any], Batch]] = deque()

    def next_batch(self) -> Batch:
        """The next batch."""
        self.peek(1)
        return self._drawn.popleft()[1]

    def peek(self, count: int) -> list[Batch]:
        """The `count` batches that `next_batch` will return next."""
        while len(self._drawn) < count:
            state = self._state()
            self._drawn.append((state, self._draw()))
        return [batch for _, batch in self._drawn][:count]

    def change(self, photos: int, repeats: Sequence[float] | None) -> None:
        """Begins a new epoch of `photos` photos, with other repeats; batches seen only by `peek` are dropped."""
        self.load_state_dict(self.state_dict())
        self.photos, self.repeats, self.waiting = photos, None if repeats is None else torch.tensor(repeats), []

    def state_dict(self) -> dict[str, Any]:
        """The state for resuming exactly here. Batches seen only by `peek` come again."""
        return self._drawn[0][0] if self._drawn else self._state()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resumes from a `state_dict`."""
        self._drawn.clear()
        self.generator.set_state(state["generator"])
        self.waiting, self.draws = list(state["waiting"]), state["draws"]

    def _state(self) -> dict[str, Any]:
        return {"generator": self.generator.get_state(), "waiting": list(self.waiting), "draws": self.draws}

    def _draw(self) -> Batch:
        batch = []
        for _ in range(self.batch_size):
            if not self.waiting:
                self.waiting = self._round()
            self.draws += 1
            if self.versions:
                version = int(torch.randint(self.versions, (1,), generator=self.generator))
            else:
                version = self.draws
            batch.append((self.waiting.pop(), version))
        return batch

    def _round(self) -> list[int]:
        if self.repeats is None:
            return torch.randperm(self.photos, generator=self.generator).tolist()
        more = torch.rand(self.photos, generator=self.generator) < self.repeats % 1
        positions = torch.arange(self.photos).repeat_interleave(self.repeats.long() + more.long())
        return positions[torch.randperm(len(positions), generator=self.generator)].tolist()
