"""Several processes, on one machine or on several, that share the photos of one prediction."""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from lightning_fabric import Fabric

from clothseg.errors import ClothsegError

T = TypeVar("T")


@dataclass(frozen=True)
class Team:
    """One process among those that share the work.

    Attributes:
        rank: its number, from 0; number 0 puts the answers together.
        size: how many there are.
        device: that its network runs on.
        wait: returns when all processes have called it.
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"
    wait: Callable[[], None] = lambda: None

    def share(self, work: Sequence[T]) -> Sequence[T]:
        """This one's part: of three, the first has numbers 0, 3, 6, ... Parts differ by one at most."""
        return work[self.rank :: self.size]


ALONE = Team()


def join_team(devices: int = 1) -> Team:
    """Start further processes for `devices` devices, or find those that `torchrun` has started.

    Each process that this starts runs the command from its beginning, up to here, and goes on beside this one.

    Raises:
        ClothsegError: there are not so many devices, or `torchrun` and `devices` say different things.
    """
    world = int(os.environ.get("WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in os.environ else 0
    if world and devices > 1:
        raise ClothsegError("torchrun has started the processes already; leave --devices away")
    local = int(os.environ["LOCAL_WORLD_SIZE"]) if world else devices
    there = torch.cuda.device_count() or os.cpu_count() or 1
    if local > there:
        kind = "GPUs" if torch.cuda.device_count() else "processor cores"
        raise ClothsegError(f"--devices {local}: this machine has {there} {kind}")
    if max(world, devices) == 1:
        return Team(device=str(Fabric(accelerator="auto", devices=1).device))
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it tells of each process
    fabric = Fabric(accelerator="auto", devices=local, num_nodes=max(world // local, 1), strategy="ddp")
    fabric.launch()
    return Team(fabric.global_rank, fabric.world_size, str(fabric.device), fabric.barrier)
