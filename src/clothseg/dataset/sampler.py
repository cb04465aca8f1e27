"""Which photos the next batches have: a random order, in which photos of rare classes can occur more often."""

import math
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from clothseg.dataset.coco import CocoLikeDataset
from clothseg.instances import is_box_only

Batch = list[tuple[int, int]]
"""Positions of photos, each with the number of its augmented version."""

MOST_REPEATS = 4.0
"""Photos with masks occur at most so many times as often as others: more would be learned by heart."""


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


def repeat_factors(
    dataset: CocoLikeDataset, threshold: float, empty_share: float = 1.0, mask_share: float = 0.0
) -> list[float] | None:
    """How often each photo occurs in an epoch. None: every photo occurs once.

    A class on the fraction `f` of the photos has the factor max(1, sqrt(threshold / f)). A photo has the largest factor
    of its classes, or 1 without any. Crowds do not count. Source: Gupta et al., "LVIS", CVPR 2019, section 5.

    Photos without any class have a factor below 1 where there are more of them than `empty_share` of the batches.
    Where some photos have boxes alone, those with a mask occur up to `MOST_REPEATS` times as often.

    Args:
        dataset: with its annotations.
        threshold: a class on a smaller part of the photos is rare; 0: none is.
        empty_share: largest part of the photos in the batches without an object, 0..1.
        mask_share: part of the photos in the batches that should have a mask, 0 to below 1.
    """
    repeats = _by_class(dataset, threshold, empty_share)
    masks = _mask_repeats(dataset, repeats, mask_share)
    if masks is None:
        return repeats
    factors = repeats or [1.0] * len(dataset)
    return [factor * masks.factor if has_mask else factor for factor, has_mask in zip(factors, masks.has, strict=True)]


@dataclass(frozen=True)
class MaskRepeats:
    """How much more often photos with a mask occur than others, which have boxes alone.

    Attributes:
        factor: how many times as often, 1 or more.
        has: whether each photo has a mask.
    """

    factor: float
    has: list[bool]


def mask_repeats(
    dataset: CocoLikeDataset, threshold: float, empty_share: float = 1.0, mask_share: float = 0.0
) -> MaskRepeats | None:
    """What `mask_share` changes in `repeat_factors`, whose arguments these are; None if it makes no difference."""
    masks = _mask_repeats(dataset, _by_class(dataset, threshold, empty_share), mask_share)
    return masks if masks is not None and masks.factor > 1 else None


def _mask_repeats(dataset: CocoLikeDataset, repeats: list[float] | None, mask_share: float) -> MaskRepeats | None:
    """None unless some photos have masks and others have boxes alone."""
    objects = [[a for a in entry.annotations if not a.get("iscrowd")] for entry in dataset.images]
    masked = [any(not is_box_only(a) for a in of_photo) for of_photo in objects]
    boxes_alone = any(of_photo and not has_mask for of_photo, has_mask in zip(objects, masked, strict=True))
    if not (mask_share and any(masked) and boxes_alone):
        return None
    factors = repeats or [1.0] * len(objects)
    own = sum(factor for factor, has_mask in zip(factors, masked, strict=True) if has_mask)
    wanted = mask_share * (sum(factors) - own) / ((1 - mask_share) * own)
    return MaskRepeats(min(max(wanted, 1.0), MOST_REPEATS), masked)


def _by_class(dataset: CocoLikeDataset, threshold: float, empty_share: float) -> list[float] | None:
    """`repeat_factors` without `mask_share`."""
    of_photo = [{a["category_id"] for a in entry.annotations if not a.get("iscrowd")} for entry in dataset.images]
    photos = Counter(class_id for classes in of_photo for class_id in classes)
    factors = {c: max(1.0, math.sqrt(threshold * len(dataset) / count)) for c, count in photos.items()}
    repeats = [max((factors[c] for c in classes), default=0.0) for classes in of_photo]
    empty = repeats.count(0.0)
    most = empty_share * sum(repeats) / (1 - empty_share) if empty_share < 1 and len(repeats) > empty else math.inf
    if not threshold and empty <= most:
        return None
    return [factor or min(1.0, most / empty) for factor in repeats]
