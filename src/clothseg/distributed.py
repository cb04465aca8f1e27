"""Several processes that work as one: how they start, which rank does what, and how they communicate.

All ranks together compute what one process would compute for all photos: the random numbers of a photo depend on its
place in the batch, and a sum is divided by the count over all photos.
"""

import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import torch
import torch.distributed
from torch import Tensor

from clothseg.cores import usable_cores
from clothseg.devices import resolve_device, resolve_precision
from clothseg.errors import ConfigError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

T = TypeVar("T")


@dataclass(frozen=True)
class DistributedContext:
    """This process among those that work together. Every rank must make the same calls in the same order.

    Attributes:
        rank: number of the process, from 0. Of a batch it has photos `rank * b` to `(rank + 1) * b`.
        world_size: number of processes.
        device: of this process.
    """

    rank: int = 0
    world_size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @classmethod
    def of(cls, fabric: "Fabric") -> "DistributedContext":
        """The context of a process that Fabric has set up."""
        return cls(fabric.global_rank, fabric.world_size, fabric.device)

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0, which writes files and prints."""
        return self.rank == 0

    @property
    def description(self) -> str:
        """The devices, for people."""
        return f"{self.world_size} devices ({self.device.type})" if self.world_size > 1 else str(self.device)

    def shard(self, batch: Sequence[T]) -> Sequence[T]:
        """This rank's contiguous part of a batch."""
        each = len(batch) // self.world_size
        return batch[self.rank * each : (self.rank + 1) * each]

    def strided_shard(self, items: Sequence[T]) -> Sequence[T]:
        """This rank's strided part of items: of three ranks, the first has 0, 3, 6, ... `gather` restores the order."""
        return items[self.rank :: self.world_size]

    def generators(self, generator: torch.Generator, photos: int) -> list[torch.Generator]:
        """A generator for each of this rank's `photos`; all ranks draw the same from `generator`."""
        seeds = torch.randint(2**63 - 1, (photos * self.world_size,), generator=generator)
        return [torch.Generator().manual_seed(seed) for seed in self.shard(seeds.tolist())]

    def mean_divisor(self, count: int | Tensor) -> float | Tensor:
        """What to divide a sum over `count` items by, at least 1, so that the mean over ranks is over all items.

        A count in a tensor stays on its device.
        """
        if self.world_size == 1:
            return count.clamp(min=1) if isinstance(count, Tensor) else max(1, count)
        counted = torch.zeros((), device=self.device) + count
        torch.distributed.all_reduce(counted)
        return counted.clamp(min=1) / self.world_size

    def largest(self, size: tuple[int, int]) -> tuple[int, int]:
        """The largest height and the largest width over all ranks."""
        if self.world_size == 1:
            return size
        sides = torch.tensor(size, device=self.device)
        torch.distributed.all_reduce(sides, torch.distributed.ReduceOp.MAX)
        return int(sides[0]), int(sides[1])

    def sum(self, values: list[float]) -> list[float]:
        """Sums over the ranks; a value that is not finite on one rank is not finite on any."""
        if self.world_size == 1:
            return values
        summed = torch.tensor(values, dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(summed)
        return [float(value) for value in summed]

    def mean(self, values: list[Tensor]) -> list[list[float]]:
        """Means over the ranks of the numbers in each of `values` `[N]`, all of them read at once.

        A value that is not finite on one rank is not finite on any.
        """
        together = torch.cat(values).float()
        if self.world_size > 1:
            torch.distributed.all_reduce(together)
        numbers = iter((together / self.world_size if self.world_size > 1 else together).tolist())
        return [[next(numbers) for _ in value] for value in values]

    def any(self, flag: bool) -> bool:
        """Whether it is true on any rank."""
        return self.sum([float(flag)])[0] > 0

    def gather(self, rows: list[T]) -> list[T]:
        """The rows of all ranks: the first of each, then the second of each, and so on."""
        if self.world_size == 1:
            return rows
        parts: list[Any] = [None] * self.world_size
        torch.distributed.all_gather_object(parts, rows)
        longest = max(len(part) for part in parts)
        return [part[i] for i in range(longest) for part in parts if i < len(part)]

    def barrier(self) -> None:
        """Returns when all ranks have called it."""
        self.any(False)

    def end_others(self) -> None:
        """Ends the other ranks when all stop for one reason; rank 0 returns and reports it."""
        self.barrier()
        if not self.is_first:
            raise SystemExit(0)


SINGLE_PROCESS = DistributedContext()


class Distributed(Protocol):
    """Anything that knows its context, such as a network."""

    distributed: DistributedContext


@contextmanager
def single_process(network: Distributed) -> Iterator[None]:
    """Within the context only this process uses the network."""
    before = network.distributed
    network.distributed = SINGLE_PROCESS
    try:
        yield
    finally:
        network.distributed = before


def world_size_for(devices: int | None, default: int, device: torch.device | None = None) -> int:
    """The number of processes: that of `torchrun` if it started them, or `devices`, or else `default`.

    Args:
        devices: what the user asked for.
        default: what the settings say.
        device: that they run on, as `resolve_device` gives it; by default that of `auto`.

    Raises:
        ConfigError: there are fewer devices, `torchrun` started another number of processes, the device cannot be
            shared, or this is Windows.
    """
    device = device or resolve_device()
    started = os.environ.get("WORLD_SIZE") if "LOCAL_RANK" in os.environ else None
    if started is not None:
        if devices not in (None, int(started)):
            raise ConfigError(f"--devices {devices}, but {started} processes were started; leave out --devices")
        _refuse_several(int(started), device)
        return int(started)
    count = devices or default
    _refuse_several(count, device)
    gpus, cores = torch.cuda.device_count() if device.type == "cuda" else 0, usable_cores()
    if count > 1 and count > (gpus or cores):
        have = f"{gpus} GPU{'s' if gpus > 1 else ''}" if gpus else f"{cores} cores for {device}, one process for each"
        raise ConfigError(f"--devices {count}, but this machine has {have}; choose fewer")
    return count


def _refuse_several(world_size: int, device: torch.device) -> None:
    """Refuses several processes where there can be only one."""
    if world_size == 1:
        return
    if device.type == "mps" or device.index is not None:
        raise ConfigError(f"{world_size} devices: {device} is only one; add --devices 1, or use --device cuda or cpu")
    if sys.platform == "win32":
        raise ConfigError(
            f"{world_size} devices: several processes work on Linux and macOS only; add --devices 1, or use WSL"
        )


def local_world_size(world_size: int) -> int:
    """How many of all processes are on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", world_size))


def launch(
    world_size: int,
    precision: str = "32-true",
    *,
    device: torch.device | None = None,
    find_unused_parameters: bool = False,
) -> "Fabric":
    """Starts the other processes, unless `torchrun` has; each of them runs the same command from its start to here.

    Call it when all input is valid, and before anything is written.

    Args:
        world_size: number of processes.
        precision: of the computation, as in `train.precision`.
        device: that it runs on, as `resolve_device` gives it; by default that of `auto`.
        find_unused_parameters: whether a step may leave trained weights without a gradient.

    Raises:
        ConfigError: the device does not have this precision.
    """
    # Here, because these imports take longer than torch, and detecting needs none of them.
    from lightning_fabric import Fabric  # noqa: PLC0415
    from lightning_fabric.strategies.ddp import DDPStrategy  # noqa: PLC0415

    device = device or resolve_device()
    resolved = resolve_precision(precision, device)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it reports each process, and advises on TF32
    if world_size == 1:
        which = 1 if device.index is None or device.type != "cuda" else [device.index]
        return Fabric(accelerator=device.type, devices=which, precision=resolved)
    warnings.filterwarnings("ignore", message="Grad strides do not match")  # of sides that are 1 long
    strategy = DDPStrategy(find_unused_parameters=find_unused_parameters, broadcast_buffers=False)
    here = local_world_size(world_size)
    fabric = Fabric(
        accelerator=device.type, devices=here, num_nodes=world_size // here, strategy=strategy, precision=resolved
    )
    fabric.launch()
    return fabric


def launch_context(world_size: int, device: torch.device) -> DistributedContext:
    """Like `launch`, for work that trains nothing. One process needs no Lightning Fabric, which is slow to import."""
    if world_size == 1:
        return DistributedContext(device=device)
    return DistributedContext.of(launch(world_size, device=device))


def lost_another_process(error: Exception) -> bool:
    """Whether an error means that another process is gone."""
    return any(word in str(error) for word in ("gloo", "NCCL", "Connection closed by peer", "Connection reset"))
