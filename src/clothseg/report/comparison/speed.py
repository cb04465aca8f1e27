"""Measures how long networks take for a photo: all in one run, in turn, so that a busy machine slows all of them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from clothseg.devices import AUTO, resolve_device
from clothseg.errors import PhotoError
from clothseg.evaluation.comparison.values import SeveralComparison, Speed
from clothseg.evaluation.intervals import percentile_interval
from clothseg.evaluation.values import Interval
from clothseg.instances import encode_photos
from clothseg.models import Model
from clothseg.networks import to_tensor
from clothseg.photos import read_photo
from clothseg.progress import ProgressBar, no_progress

PHOTOS, ROUNDS = 6, 5
_RESAMPLES = 1000


@dataclass(frozen=True)
class Timings:
    """Measured times.

    Attributes:
        seconds: `[N, R, P]` wall time of each network, round and photo.
        device: that the networks ran on.
        threads: number of threads of PyTorch.
    """

    seconds: NDArray[np.float64]
    device: str
    threads: int

    def speed(self, network: int) -> Speed:
        """The median time of one network."""
        _, rounds, photos = self.seconds.shape
        return Speed(float(np.median(self.seconds[network])), photos, rounds, self.device, self.threads)

    def ratio(self, a: int, b: int, *, seed: int = 0) -> tuple[float, Interval]:
        """Time of `b` over time of `a`, the median over the same photo in the same round, and its interval."""
        ratios = (self.seconds[b] / self.seconds[a]).ravel()
        drawn = np.random.default_rng(seed).integers(0, len(ratios), (_RESAMPLES, len(ratios)))
        interval = percentile_interval(np.median(ratios[drawn], axis=1).tolist(), 0.95, seed)
        assert interval is not None  # times are numbers
        return float(np.median(ratios)), interval


def measure(
    runs: Sequence[Path],
    photos: Sequence[Path],
    *,
    rounds: int = ROUNDS,
    device: str | torch.device = AUTO,
    progress: ProgressBar = no_progress,
) -> Timings:
    """Times the networks of some runs on the same photos, one photo a call, after a round that does not count.

    A time is from the decoded photo to instances with masks as run lengths at the photo's size.

    Args:
        runs: folders with weights.
        photos: files; those that cannot be read are left out.
        rounds: how often each network sees each photo.
        device: that the networks run on.
        progress: wraps the calls, for a progress bar.

    Raises:
        WeightsError, RunError: the weights of a run cannot be read.
        PhotoError: no photo can be read.
    """
    chosen = resolve_device(device)
    images = [to_tensor(photo) for path in photos if (photo := _read(path)) is not None]
    if not images:
        raise PhotoError("the speed cannot be measured: none of the photos can be read; --no-speed leaves it out")
    models = [Model.load(run, device=chosen) for run in runs]
    seconds = np.zeros((len(models), rounds + 1, len(images)))
    calls = list(product(range(rounds + 1), range(len(images)), range(len(models))))
    with torch.no_grad():
        for turn, place, number in progress(calls, len(calls), "measuring the speed"):
            begun = time.perf_counter()
            encode_photos([models[number].detect([images[place]])[0].masks])
            seconds[number, turn, place] = time.perf_counter() - begun
    return Timings(seconds[:, 1:], str(chosen), torch.get_num_threads())


def with_speed(found: SeveralComparison, timings: Timings, titles: Sequence[str]) -> SeveralComparison:
    """The comparison with the speed of the sides `titles`, in the order of the timings."""
    numbers = {title: number for number, title in enumerate(titles)}
    sides = [
        replace(side, speed=timings.speed(numbers[side.title])) if side.title in numbers else side
        for side in found.sides
    ]
    pairs = [
        replace(pair, time_ratio=timings.ratio(numbers[pair.a], numbers[pair.b]))
        if pair.a in numbers and pair.b in numbers
        else pair
        for pair in found.pairs
    ]
    return replace(found, sides=tuple(sides), pairs=tuple(pairs))


def _read(path: Path) -> NDArray[np.uint8] | None:
    try:
        return read_photo(path)
    except PhotoError:
        return None
