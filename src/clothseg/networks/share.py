"""A process's share of a step, where several processes learn together from one batch.

Each has its own photos of the batch. What one process would have drawn and divided for all photos, all processes
together draw and divide alike: a photo's draws belong to its place in the batch, and a sum is divided by what there is
on all photos.
"""

from dataclasses import dataclass, field

import torch
import torch.distributed


@dataclass(frozen=True)
class Share:
    """Which photos of a batch a process has; all of them where it is alone.

    Attributes:
        rank: number of the process, from 0. It has photos `rank * b` to `(rank + 1) * b` of the batch.
        processes: how many there are.
        device: where numbers are added up among processes.
    """

    rank: int = 0
    processes: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def generators(self, generator: torch.Generator, photos: int) -> list[torch.Generator]:
        """A generator for each of this process's `photos`; all processes draw the same from `generator`."""
        seeds = torch.randint(2**63 - 1, (photos * self.processes,), generator=generator)
        own = seeds[self.rank * photos : (self.rank + 1) * photos]
        return [torch.Generator().manual_seed(seed) for seed in own.tolist()]

    def divisor(self, count: int) -> float:
        """What to divide a sum over `count` things by, at least 1, so that the mean over processes is over all things.

        Every process has to ask, and in the same order.
        """
        if self.processes == 1:
            return max(1, count)
        counted = torch.tensor(float(count), device=self.device)
        torch.distributed.all_reduce(counted)
        return max(1.0, counted.item()) / self.processes

    def largest(self, size: tuple[int, int]) -> tuple[int, int]:
        """The largest height and the largest width that a process asks with."""
        if self.processes == 1:
            return size
        sides = torch.tensor(size, device=self.device)
        torch.distributed.all_reduce(sides, torch.distributed.ReduceOp.MAX)
        return int(sides[0]), int(sides[1])


ALONE = Share()
