"""A network without a network: what it finds follows from the pixels. It runs in any process, and needs no torch.

As a program it does a catalogue: `python -c "import stub_network; stub_network.main()" LIST OUT [PROCESSES]`.
"""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clothseg.catalogue import (
    CatalogueOptions,
    Engine,
    InProcesses,
    OpenNetwork,
    Predict,
    in_this_process,
    open_catalogue,
    run_catalogue,
)
from clothseg.errors import WeightsError
from clothseg.instances.array_masks import BoxArrayMasks
from clothseg.instances.arrays import ArrayInstances

CLASSES = ("Suit", "Dress")
SHARD_SIZE = 4


@dataclass(frozen=True)
class StubSource:
    """Finds as `stub_find` does.

    Attributes:
        pause: seconds that each photo takes.
        log: a folder in which each opened network leaves a file with the number of its process.
    """

    pause: float = 0.0
    log: str = ""

    def open(self, worker: int, workers: int) -> OpenNetwork:
        """See `NetworkSource`."""
        if self.log:
            Path(self.log, f"{os.getpid()}-{time.monotonic_ns()}").touch()

        def find(photos: Sequence[NDArray[np.uint8]]) -> list[ArrayInstances]:
            time.sleep(self.pause * len(photos))
            return [stub_find(photo) for photo in photos]

        return OpenNetwork(find, CLASSES)


@dataclass(frozen=True)
class BrokenSource:
    """A network that cannot be opened: an error, or the end of the process."""

    ends: bool = False

    def open(self, worker: int, workers: int) -> OpenNetwork:
        """See `NetworkSource`."""
        if self.ends:
            os._exit(9)
        raise WeightsError("net.safetensors: it is damaged")


def stub_find(photo: NDArray[np.uint8]) -> ArrayInstances:
    """Finds a Dress in the left half and a Suit in the upper half; none, one or both, by the first pixel's red."""
    height, width = photo.shape[:2]
    count = int(photo[0, 0, 0]) % 3
    boxes = np.array([[0, 0, width // 2, height], [0, 0, width, height // 2]], np.float32)[:count]
    scores = np.array([0.5 + int(photo[0, 0, 1]) / 512, 0.4], np.float32)[:count]
    masks = BoxArrayMasks(boxes, (height, width), np.ones((count, 4, 4), np.float32))
    return ArrayInstances((height, width), boxes, np.array([2, 1])[:count], scores, masks, CLASSES)


def main() -> None:
    """Does a catalogue."""
    photos, out, *rest = sys.argv[1:]
    engine: Engine = InProcesses(int(rest[0])) if rest else in_this_process
    options = CatalogueOptions(shard_size=SHARD_SIZE)
    run_catalogue(open_catalogue([photos]), Predict(), StubSource(pause=0.005), out, options, engine=engine)
