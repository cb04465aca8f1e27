"""Out-of-memory in the middle of a training: how to continue with less at a time."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol, TypeVar

from clothseg.errors import RunError
from clothseg.training.memory.device import empty_device_caches

T = TypeVar("T")


def split_batches(batches: list[list[T]], micro_batches: int) -> list[list[T]]:
    """Each batch in at most `micro_batches` pieces of nearly the same size, in order."""
    pieces = []
    for batch in batches:
        count = min(micro_batches, len(batch))
        ends = [len(batch) * number // count for number in range(count + 1)]
        pieces += [batch[first:end] for first, end in pairwise(ends)]
    return pieces


class FeatureCache(Protocol):
    """Anything that caches outputs of frozen stages, such as `Examples`."""

    cached: dict[Any, Any]

    def disable_cache(self) -> None:
        """Empties the cache, and caches nothing any more."""
        ...


def handle_oom(micro_batches: int, batch_size: int, caches: Sequence[FeatureCache], world_size: int) -> tuple[int, str]:
    """What to do after out-of-memory: twice as many micro-batches, or else no feature cache.

    Args:
        micro_batches: into which each batch was split.
        batch_size: photos of a whole batch.
        caches: that can be emptied.
        world_size: number of ranks that learn together.

    Returns:
        the number of micro-batches from here on, and a message.

    Raises:
        RunError: one photo alone does not fit; or several ranks learn together, which would lose step with each other.
    """
    if world_size > 1:
        raise RunError(
            f"out of memory, and {world_size} processes that learn together cannot change the batch on their way: make "
            "train.batch_size smaller and train.grad_accumulation_steps larger by as much"
        )
    empty_device_caches()
    if micro_batches < batch_size:
        micro_batches = min(2 * micro_batches, batch_size)
        return micro_batches, (
            f"out of memory: from here on {-(-batch_size // micro_batches)} of the {batch_size} photos of a batch are "
            f"in memory at once, {micro_batches} micro-batches one after the other; the mean over photos is the same"
        )
    if any(cache.cached for cache in caches):
        for cache in caches:
            cache.disable_cache()
        return micro_batches, "out of memory: outputs of frozen stages are computed each time from here on, not cached"
    raise RunError(
        "one photo alone does not fit into memory. Make the input smaller (input), keep less for the backward pass "
        "(train.activation_checkpointing=true), freeze more stages (backbone.frozen_stages), take a smaller "
        "backbone.name, learn from less of each photo (such as network.box_head.samples), or close other programs"
    )
