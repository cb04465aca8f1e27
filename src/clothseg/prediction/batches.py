"""Runs the network: on several photos at once, if that does not change the results, and compiled, if asked."""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from clothseg.errors import RunError
from clothseg.photos import RgbImage

if TYPE_CHECKING:  # they need torch
    from clothseg.instances import Instances
    from clothseg.models import Model

T = TypeVar("T")


def in_groups(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yields the items in lists of `size`; the last list may be shorter."""
    rest = iter(items)
    while group := list(itertools.islice(rest, size)):
        yield group


def detect_batch(
    model: "Model", photos: Sequence[RgbImage], *, score_threshold: float = 0.0, together: bool | None = None
) -> "list[Instances]":
    """The instances on each photo.

    Only photos with the same input size go through the network together. Beside a larger one, a photo would be padded,
    and detections near its edge would change. On a CPU photos go one by one: a batch adds numbers in another order,
    which changes last digits, and it saves no time.

    Args:
        model: with a network.
        photos: `[H, W, 3]` uint8 RGB each, of any sizes.
        score_threshold: see `Model.predict`.
        together: whether photos may go together; by default, if the network is not on a CPU.

    Raises:
        RunError: the model has no network yet.
    """
    from clothseg.networks import to_tensor  # noqa: PLC0415 - torch; an exported network goes without it

    if model.network is None:
        raise RunError("the model has no network yet; call build() first")
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


def _input_size(model: "Model", photo: RgbImage) -> tuple[int, int]:
    """Height and width of the network's input for this photo alone."""
    assert model.network is not None
    return model.network.transform.place((photo.shape[0], photo.shape[1])).padded


def compile_for_inference(model: "Model", *, requested: bool) -> str:
    """Compiles a model's network if `requested`, or if its `inference.compile` is set. It works uncompiled too.

    Returns:
        A message for the user: what to expect, or why this machine cannot compile. Empty if nothing was to compile.
    """
    if not requested and not model.config.inference.compile:
        return ""
    reason = model.compile()
    model.config = model.config.changed("inference", compile=not reason)
    if reason:
        return f"not compiled, because this machine cannot do it: {reason}"
    return "compiling: the first photo takes a minute or two, and so may the first photo of another size"
