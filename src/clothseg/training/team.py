"""The processes of a training, one on each device, and what they tell one another."""

import gc
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar, cast

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy

from clothseg.config import Config
from clothseg.errors import ConfigError
from clothseg.networks import MaskRCNNNetwork
from clothseg.networks.backbones.backbone import STAGES
from clothseg.networks.share import ALONE, Share
from clothseg.processes import launch

T = TypeVar("T")


def batch_of_each(config: Config, processes: int) -> int:
    """Photos that each process has at once, so that all together have as many as the run began with.

    Raises:
        ConfigError: they cannot be shared out evenly.
    """
    photos = config.train.batch_size * config.train.devices
    if photos % processes:
        raise ConfigError(
            f"a step of this run learns from {photos} photos at once, which {processes} devices cannot share evenly; "
            "choose another --devices"
        )
    return photos // processes


def start_processes(config: Config, processes: int) -> Fabric:
    """Begin the other processes, if `torchrun` has not; each of them runs the same command from its start to here.

    Call it when all input is found right, and before anything is written.
    """
    warnings.filterwarnings("ignore", message="Grad strides do not match")  # of sides that are 1 long
    idle = config.pyramid.levels[-1] < STAGES  # then the trunk's last stages do not run
    strategy = DDPStrategy(find_unused_parameters=idle, broadcast_buffers=False)
    return launch(processes, strategy, config.train.precision)


class Team:
    """The processes that learn together. Every process must make the same calls in the same order.

    Attributes:
        share: which photos of a batch this process has.
    """

    def __init__(self, fabric: Fabric) -> None:
        self.fabric = fabric
        self.share = Share(fabric.global_rank, fabric.world_size, fabric.device) if fabric.world_size > 1 else ALONE

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.share.rank == 0

    @property
    def where(self) -> str:
        """On what it learns, for people."""
        many = self.share.processes
        return f"{many} devices ({self.fabric.device.type})" if many > 1 else str(self.fabric.device)

    def wrapped(self, network: MaskRCNNNetwork) -> MaskRCNNNetwork:
        """The network on its device, to be called for losses.

        Several processes learn those parameters together that learn now: wrap it anew when others do, and let go what
        was wrapped before.
        """
        gc.collect()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*forward_sync_buffers")  # the buffers are constants
            wrapped = self.fabric.setup_module(network)
        for method in ("losses", "losses_prepared"):
            wrapped.mark_forward_method(method)
        wrapped.train()
        return cast(MaskRCNNNetwork, wrapped)

    def gradients_kept(self, learner: MaskRCNNNetwork, kept: bool) -> AbstractContextManager[None]:
        """Within it each process keeps its gradients to itself, until the last of several batches."""
        if self.share.processes == 1:
            return nullcontext()
        return self.fabric.no_backward_sync(cast(Any, learner), enabled=kept)

    def own(self, batch: list[T]) -> list[T]:
        """This process's part of a batch that all know."""
        each = len(batch) // self.share.processes
        return batch[self.share.rank * each : (self.share.rank + 1) * each]

    def every(self, things: list[T]) -> list[T]:
        """Every so many of things that all know, such that `gather` puts what comes of them into their order."""
        return things[self.share.rank :: self.share.processes]

    def total(self, values: list[float]) -> list[float]:
        """Sums over the processes; one that is not finite anywhere is not finite everywhere."""
        if self.share.processes == 1:
            return values
        summed = torch.tensor(values, dtype=torch.float64, device=self.share.device)
        torch.distributed.all_reduce(summed)
        return [float(value) for value in summed]

    def mean(self, values: dict[str, float]) -> dict[str, float]:
        """Means over the processes, by name."""
        sums = self.total(list(values.values()))
        return {name: value / self.share.processes for name, value in zip(values, sums, strict=True)}

    def any(self, flag: bool) -> bool:
        """Whether it is so in any process."""
        return self.total([float(flag)])[0] > 0

    def gather(self, rows: list[T]) -> list[T]:
        """The rows of all processes: the first of each, then the second of each, and so on."""
        if self.share.processes == 1:
            return rows
        parts: list[Any] = [None] * self.share.processes
        torch.distributed.all_gather_object(parts, rows)
        longest = max(len(part) for part in parts)
        return [part[i] for i in range(longest) for part in parts if i < len(part)]

    def wait(self) -> None:
        """Until all processes are here."""
        self.any(False)

    def leave(self) -> None:
        """End the other processes when all of them stop for one reason; the first one goes on and says it."""
        self.wait()
        if not self.first:
            raise SystemExit(0)


def lost_another(error: Exception) -> bool:
    """Whether an error means that another process is gone."""
    return any(word in str(error) for word in ("gloo", "NCCL", "Connection closed by peer", "Connection reset"))


@contextmanager
def alone(network: MaskRCNNNetwork) -> Iterator[None]:
    """Within it the network is used by this process for itself."""
    share = network.share
    network.share = ALONE
    try:
        yield
    finally:
        network.share = share
