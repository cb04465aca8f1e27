"""The gradients of a step's photos, batch by batch, and how long they are all together."""

from collections.abc import Callable
from typing import Any, cast

from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

from clothseg.training.examples import Batch, Examples
from clothseg.training.nonfinite import is_broken
from clothseg.training.team import Team


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


def clip_gradient(network: nn.Module, optimizer: Optimizer, fabric: Fabric, most: float | None) -> float:
    """Make the gradient of all weights together at most so long.

    Args:
        network: with gradients.
        optimizer: as `fabric` set it up.
        fabric: which multiplies losses, and so gradients, where numbers have 16 bits.
        most: length; None for any.

    Returns:
        how long it was.
    """
    fabric.strategy.precision.unscale_gradients(cast(Any, optimizer).optimizer)
    parameters = [p for p in network.parameters() if p.grad is not None]
    length = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if most is not None:
        nn.utils.clip_grads_with_norm_(parameters, most, length)
    return float(length)
