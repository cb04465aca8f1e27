"""Memory that runs out in the middle of a training: what it looks like, and going on with fewer photos at a time."""

from itertools import pairwise
from typing import TypeVar

import torch

from clothseg.errors import RunError
from clothseg.training.examples import Examples

SIGNS = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "alloc_failed",
    "bad_alloc",
    "could not create a memory",
    "could not create a primitive",
)
"""In lower case, what torch and its libraries say when memory runs out, besides an error of that name."""

T = TypeVar("T")


def is_shortage(error: BaseException) -> bool:
    """Whether an error says that there was not enough memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in SIGNS)


def split_batches(batches: list[list[T]], parts: int) -> list[list[T]]:
    """Each batch in at most `parts` pieces of nearly the same size, in order."""
    pieces = []
    for batch in batches:
        count = min(parts, len(batch))
        ends = [len(batch) * number // count for number in range(count + 1)]
        pieces += [batch[first:end] for first, end in pairwise(ends)]
    return pieces


def make_room(parts: int, batch_size: int, examples: list[Examples], processes: int) -> tuple[int, str]:
    """What to do about a shortage: batches in twice as many parts, or else nothing kept of frozen stages.

    Args:
        parts: that each batch was in.
        batch_size: photos of a whole batch.
        examples: whose kept outputs can be let go.
        processes: that learn together.

    Returns:
        parts to go on with, and what was done, in words.

    Raises:
        RunError: one photo alone does not fit; or several processes learn together, which would lose step with each
            other.
    """
    if processes > 1:
        raise RunError(
            f"memory ran out, and {processes} processes that learn together cannot change the batch on their way: make "
            "train.batch_size smaller and train.accumulate larger by as much"
        )
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if parts < batch_size:
        parts = min(2 * parts, batch_size)
        return parts, (
            f"memory ran out; from here on {-(-batch_size // parts)} of the {batch_size} photos of a batch are in "
            f"memory at once, {parts} times one after the other: the mean over the photos stays"
        )
    if any(part.kept for part in examples):
        for part in examples:
            part.keep_nothing()
        return parts, "memory ran out; the outputs of frozen stages are not kept any more, but computed each time"
    raise RunError(
        "one photo alone does not fit into the memory. Make the input smaller (picture), keep less for the backward "
        "pass (train.checkpoint_activations=true), freeze more stages (backbone.frozen_stages), learn from fewer "
        "proposals (boxes.samples), take a smaller backbone.name, or close other programs"
    )
