"""One training step, from the batches to the changed weights.

`training_step` can be read from top to bottom: load, losses, backward, clip, optimizer, EMA. What goes wrong in it is a
result, not an exception, except for out-of-memory, which the trainer handles.
"""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

from clothseg.config import TrainSettings
from clothseg.dataset import Batch
from clothseg.distributed import DistributedContext
from clothseg.errors import SpoiledRun, is_out_of_memory
from clothseg.training.ema import EmaWeights
from clothseg.training.examples import Examples

GRADIENT = "gradient"
"""The name of the gradient's norm among losses."""


@dataclass(frozen=True)
class StepResult:
    """The result of a step.

    Attributes:
        losses: means by name over the photos of the step.
        faulty: the examples among which the loss or gradient is not finite; None if the step was taken.
    """

    losses: dict[str, float]
    faulty: Batch | None = None


def training_step(
    examples: Examples,
    micro_batches: Sequence[Batch],
    optimizer: Optimizer,
    ema: EmaWeights | None,
    settings: TrainSettings,
    fabric: Fabric,
    distributed: DistributedContext,
    *,
    step: int,
) -> StepResult:
    """Learns from `micro_batches`, whose gradients are added up, so that only one of them is in memory at a time.

    The losses of class, box and mask are means over the boxes of a micro-batch, so a photo weighs a little differently
    in micro-batches of another size; the other losses do not.

    Args:
        examples: of the photos.
        micro_batches: this rank's positions and versions; every rank calls this with the same number and sizes.
        optimizer: set up by `fabric`, its learning rates set.
        ema: of the weights; updated after the step.
        settings: of the training.
        fabric: for the precision and the backward pass.
        distributed: the ranks that learn together.
        step: number of this step, from 1.

    Raises:
        RuntimeError, MemoryError: out of memory before the weights were changed.
        SpoiledRun: out of memory while the weights were changed.
    """
    optimizer.zero_grad()
    photos = sum(map(len, micro_batches))
    names: list[str] = []
    found: list[Tensor] = []
    for number, batch in enumerate(micro_batches, start=1):
        more_to_come = distributed.world_size > 1 and number < len(micro_batches)
        with fabric.no_backward_sync(cast(Any, examples.learner)) if more_to_come else nullcontext():
            losses = examples.losses(batch)
            share = len(batch) / photos
            fabric.backward(losses["total"] if share == 1 else losses["total"] * share)
        names = list(losses)
        found.append(torch.stack([loss.detach() for loss in losses.values()]))

    norm = clip_gradient(optimizer, fabric, settings.grad_clip_norm)
    # The only values that a step reads: on a GPU each read waits for all work so far.
    *values, [total_norm] = distributed.mean([*found, norm[None]])
    means: dict[str, float] = {}
    for batch, row in zip(micro_batches, values, strict=True):
        of_batch = dict(zip(names, row, strict=True))
        if not is_finite(of_batch):
            forget_scaled_gradients(fabric)
            return StepResult(of_batch, batch)
        means = {name: means.get(name, 0.0) + value * len(batch) / photos for name, value in of_batch.items()}
    if not math.isfinite(total_norm) and settings.precision != "16-mixed":  # with 16 bits the optimizer skips by itself
        return StepResult(means | {GRADIENT: total_norm}, [place for batch in micro_batches for place in batch])

    try:
        optimizer.step()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise SpoiledRun(
            f"step {step}: out of memory while the weights were changed. The last checkpoint is unchanged: close other "
            "programs and continue with --resume, or start again with --max-memory"
        ) from error
    if ema:
        ema.update(step)
    return StepResult(means)


def clip_gradient(optimizer: Optimizer, fabric: Fabric, max_norm: float | None) -> Tensor:
    """Clips the norm of the gradient of all weights together that the optimizer trains.

    Args:
        optimizer: set up by `fabric`; its weights have gradients.
        fabric: scales losses, and so gradients, in 16 bits.
        max_norm: None does not clip.

    Returns:
        the norm before clipping, a scalar on the weights' device.
    """
    fabric.strategy.precision.unscale_gradients(cast(Any, optimizer).optimizer)
    parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    norm: Tensor = nn.utils.get_total_norm([p.grad for p in parameters])
    if max_norm is not None:
        nn.utils.clip_grads_with_norm_(parameters, max_norm, norm)
    return norm


def forget_scaled_gradients(fabric: Fabric) -> None:
    """Makes the gradient scaler of 16 bits, if there is one, ready for the next step without taking this one."""
    scaler = getattr(fabric.strategy.precision, "scaler", None)
    if scaler is not None:
        scaler.update()


def is_finite(losses: dict[str, float]) -> bool:
    """Whether every loss is a finite number."""
    return all(math.isfinite(value) for value in losses.values())
