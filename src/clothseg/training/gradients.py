"""The gradients of a step's photos, batch by batch."""

from collections.abc import Callable

from torch import Tensor

from clothseg.training.examples import Examples
from clothseg.training.faults import is_broken
from clothseg.training.team import Team

Batch = list[tuple[int, int]]
"""Positions of photos and their versions."""


def gradients(
    examples: Examples, batches: list[Batch], backward: Callable[[Tensor], None], team: Team
) -> tuple[dict[str, float], Batch | None]:
    """Add the gradients of the mean loss over all photos to the weights' own.

    Only one batch is in memory at a time. The losses of class, box and mask are means over the boxes of a batch, so
    they weigh a photo a little otherwise in batches of another size; the others do not.

    Args:
        examples: of the photos.
        batches: what this process learns from, one after the other.
        backward: of a loss.
        team: the processes that learn together; each calls this with as many batches of the same sizes.

    Returns:
        mean losses by name, and None; or, where a batch's losses are not finite, these losses and that batch.
    """
    photos = sum(map(len, batches))
    values: dict[str, float] = {}
    for number, batch in enumerate(batches, start=1):
        with team.gradients_kept(examples.learner, number < len(batches)):
            losses = examples.losses(batch)
            found = team.mean({name: loss.item() for name, loss in losses.items()})
            if is_broken(found):
                return found, batch
            backward(losses["total"] * len(batch) / photos)
        values = {name: values.get(name, 0.0) + value * len(batch) / photos for name, value in found.items()}
    return values, None
