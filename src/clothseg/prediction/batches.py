"""What is on several photos, asked of the network at once where that does not change the answer."""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from clothseg.dataset import to_tensor
from clothseg.errors import RunError
from clothseg.instances import Instances
from clothseg.models import Model
from clothseg.photos import RgbImage

T = TypeVar("T")


def in_groups(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """`size` items at a time, the last time what is left."""
    rest = iter(items)
    while group := list(itertools.islice(rest, size)):
        yield group


def detect_batch(
    model: Model, photos: Sequence[RgbImage], *, score_threshold: float = 0.0, together: bool | None = None
) -> list[Instances]:
    """What is on each of `photos`, `[H, W, 3]` uint8 RGB, of any sizes.

    Photos go through the network together only where each has the input of the size that it would have alone: beside a
    larger one it would be padded, and what is found near its edge would change. On a processor they go one by one:
    the sums of a batch are taken in another order there, which changes last digits, and no time is saved.

    Args:
        model: with a network.
        photos: what is looked at.
        score_threshold: see `Model.predict`.
        together: whether photos go together; by default, where the network is not on a processor.
    """
    if model.network is None:
        raise RunError("the network is not there yet; call build() first")
    if together is None:
        together = next(model.network.parameters()).device.type != "cpu"
    groups: dict[object, list[int]] = defaultdict(list)
    for position, photo in enumerate(photos):
        groups[_input_size(model, photo) if together else position].append(position)
    records: dict[int, Instances] = {}
    for group in groups.values():
        found = model.detect([to_tensor(photos[p]) for p in group], score_threshold=score_threshold)
        records |= dict(zip(group, found, strict=True))
    return [records[position] for position in range(len(photos))]


def _input_size(model: Model, photo: RgbImage) -> tuple[int, int]:
    """Height and width of the network's input for a photo alone."""
    assert model.network is not None
    return model.network.transform.place((photo.shape[0], photo.shape[1])).padded
