"""Photos on their way to the network: which ones, in which order, changed how."""

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from clothseg.config import AugmentSettings
from clothseg.dataset.augment import augment, paste_instances
from clothseg.dataset.coco import CocoLikeDataset
from clothseg.instances import Instances

Batch = list[tuple[int, int]]
"""Positions of photos, each with the number of a version."""


def to_tensor(photo: NDArray[np.uint8]) -> Tensor:
    """`[3, H, W]` float in 0..1 from `[H, W, 3]` uint8."""
    return torch.from_numpy(photo).permute(2, 0, 1).float() / 255


def load_example(
    dataset: CocoLikeDataset, position: int, settings: AugmentSettings | None, version: int = 0, seed: int = 0
) -> tuple[Tensor, Instances]:
    """A photo `[3, H, W]` in 0..1 and its instances, changed as `settings` say.

    Args:
        dataset: prepared.
        position: of the photo.
        settings: None leaves the photo as it is.
        version: the same photo, version and seed give the same change. Where versions are fixed, number 0 is unchanged.
        seed: of all changes.
    """
    image, instances = to_tensor(dataset.load_image(position)), dataset.load_instances(position)
    if settings is None or (settings.fixed_views and version == 0):
        return image, instances
    own = np.random.SeedSequence([seed, position, version]).generate_state(1)[0]
    generator = torch.Generator().manual_seed(int(own))
    image, instances = augment(image, instances, settings, generator)
    if float(torch.rand((), generator=generator)) < settings.copy_paste:
        place = int(torch.randint(len(dataset), (), generator=generator))
        other = augment(to_tensor(dataset.load_image(place)), dataset.load_instances(place), settings, generator)
        image, instances = paste_instances(image, instances, *other, generator)
    return image, instances


class Sampler:
    """Batches of (position, version) without end: every photo once in random order, then anew.

    Args:
        photos: how many there are.
        batch_size: positions in a batch; it may span the end of one round and the start of the next.
        versions: how many fixed versions each photo has; 0: every look gets a number of its own.
        seed: of the order.
        repeats: how often each photo comes in a round; of 1.3 it comes once or, with chance 0.3, twice. Without any,
            each comes once.
    """

    def __init__(
        self, photos: int, batch_size: int, versions: int, seed: int, repeats: Sequence[float] | None = None
    ) -> None:
        self.repeats = None if repeats is None else torch.tensor(repeats)
        self.photos, self.batch_size, self.versions = photos, batch_size, versions
        self.generator = torch.Generator().manual_seed(seed)
        self.waiting: list[int] = []
        self.looks = 0
        self._drawn: deque[tuple[dict[str, Any], Batch]] = deque()

    def next_batch(self) -> Batch:
        """The next positions, each with the number of its version."""
        self.peek(1)
        return self._drawn.popleft()[1]

    def peek(self, count: int) -> list[Batch]:
        """The `count` batches that `next_batch` will give next."""
        while len(self._drawn) < count:
            state = self._state()
            self._drawn.append((state, self._draw()))
        return [batch for _, batch in self._drawn][:count]

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on exactly here, whatever was looked at beforehand."""
        return self._drawn[0][0] if self._drawn else self._state()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self._drawn.clear()
        self.generator.set_state(state["generator"])
        self.waiting, self.looks = list(state["waiting"]), state["looks"]

    def _state(self) -> dict[str, Any]:
        return {"generator": self.generator.get_state(), "waiting": list(self.waiting), "looks": self.looks}

    def _draw(self) -> Batch:
        batch = []
        for _ in range(self.batch_size):
            if not self.waiting:
                self.waiting = self._round()
            self.looks += 1
            if self.versions:
                version = int(torch.randint(self.versions, (1,), generator=self.generator))
            else:
                version = self.looks
            batch.append((self.waiting.pop(), version))
        return batch

    def _round(self) -> list[int]:
        if self.repeats is None:
            return torch.randperm(self.photos, generator=self.generator).tolist()
        more = torch.rand(self.photos, generator=self.generator) < self.repeats % 1
        positions = torch.arange(self.photos).repeat_interleave(self.repeats.long() + more.long())
        return positions[torch.randperm(len(positions), generator=self.generator)].tolist()
