"""Several processes, on one machine or on several, that share the photos of one prediction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from clothseg.processes import launch, processes_wanted

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

    Raises:
        ConfigError: there are not so many devices, or `torchrun` and `devices` say different things.
    """
    fabric = launch(processes_wanted(devices if devices > 1 else None, 1), "ddp")
    return Team(fabric.global_rank, fabric.world_size, str(fabric.device), fabric.barrier)
