"""Tools of `gpu_check.py`: its parts, their limits of time, and the table.

Not a benchmark itself: run alone, it does nothing.
"""

import math
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch

from clothseg import sample
from clothseg.openimages import BuildOptions, build_dataset

CLASSES = ["Suit", "Dress", "Jeans"]


class TimeIsUpError(BaseException):
    """A part took longer than it may; not an `Exception`, so that nothing in between handles it."""


class NotHereError(Exception):
    """A part cannot run on this machine; the message says why."""


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        part: what was run.
        result: what came out of it, or why it did not run.
        target: of the result; empty if it has none.
        verdict: pass, miss, error, not run, or a dash where a target is of another device.
        seconds: that the part took.
    """

    part: str
    result: str
    target: str = ""
    verdict: str = "pass"
    seconds: float = 0.0


@dataclass
class Setup:
    """Where the parts run, and what they share.

    Attributes:
        device: of all networks.
        folder: for everything that is written.
        shared: what an earlier part made and later ones use.
    """

    device: torch.device
    folder: Path
    shared: dict[str, Path] = field(default_factory=dict)

    @property
    def on_gpu(self) -> bool:
        """Whether targets apply and sizes are those of the targets."""
        return self.device.type == "cuda"

    @cached_property
    def few(self) -> Path:
        """A dataset of a few photos of the sample."""
        return build_dataset_at(self.folder / "few", BuildOptions(limit=6, max_size=320))

    @cached_property
    def photos(self) -> Path:
        """A dataset of all photos of the sample."""
        return build_dataset_at(self.folder / "photos", BuildOptions())

    def verdict(self, passed: bool) -> str:
        """Of a speed: the targets are those of an H100."""
        return ("pass" if passed else "miss") if self.on_gpu else "-"


Part = Callable[[Setup], Sequence[Row]]


def build_dataset_at(folder: Path, options: BuildOptions) -> Path:
    """Builds a dataset from the sample, and returns its folder."""
    build_dataset(sample.folder(), folder, CLASSES, options)
    return folder


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Ends what runs inside after `seconds`, at the next line of Python, where the system has an alarm.

    Raises:
        TimeIsUpError: it was ended.
    """
    if sys.platform == "win32":
        yield
        return

    def stop(*_: object) -> None:
        raise TimeIsUpError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def run_parts(parts: Mapping[str, Part], setup: Setup, deadline: float, longest: float) -> Iterator[Row]:
    """Runs one part after the other; one that fails or takes too long does not stop the others.

    Args:
        parts: by name.
        setup: of all parts.
        deadline: `time.monotonic()` at which no part starts any more, and the running one ends.
        longest: seconds that a part may take.
    """
    for name, part in parts.items():
        started = time.monotonic()
        allowed = min(longest, deadline - started)
        if allowed <= 1:
            yield Row(name, "the time for these parts was used up", verdict="not run")
            continue
        try:
            with time_limit(allowed):
                rows = part(setup)
        except TimeIsUpError:
            rows = [
                Row(name, f"ended after {allowed:.0f} s, which is all the time that it may take", verdict="not run")
            ]
        except NotHereError as why:
            rows = [Row(name, str(why), verdict="not run")]
        except Exception as error:
            rows = [Row(name, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}", verdict="error")]
        seconds = time.monotonic() - started
        for row in rows:
            yield Row(row.part, row.result, row.target, row.verdict, row.seconds or seconds / len(rows))


def repeat(calls: Sequence[Callable[[], float]], seconds: float, most: int, least: int = 2) -> list[list[float]]:
    """Calls in turns, once without counting; returns what each call returned.

    Args:
        calls: each returns the seconds that it took.
        seconds: after which no further turn starts.
        most, least: turns.
    """
    for call in calls:
        call()
    found: list[list[float]] = [[] for _ in calls]
    end = time.monotonic() + seconds
    for turn in range(most):
        if turn >= least and time.monotonic() > end:
            break
        for times, call in zip(found, calls, strict=True):
            times.append(call())
    return found


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| part | result | target | verdict | seconds |", "|---|---|---|---|---|"]
    for row in rows:
        cells = (row.part, row.result.replace("|", "/"), row.target or "-", row.verdict, f"{row.seconds:.1f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def finite(values: Sequence[float]) -> bool:
    """Whether all are finite numbers."""
    return all(math.isfinite(value) for value in values)
