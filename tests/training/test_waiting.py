"""The time that steps wait for data, and the advice."""

import time
from types import SimpleNamespace
from typing import cast

import pytest

from clothseg.loading import WorkerPool
from clothseg.training.examples import ExampleQueue
from clothseg.training.waiting import WaitingTime


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(time, "perf_counter", lambda: clock.now)
    return clock


class SlowSource:
    """Takes two seconds for each example."""

    def __init__(self, clock: SimpleNamespace) -> None:
        self.clock, self.dataset = clock, None

    def load(self, position: int, version: int) -> None:
        self.clock.now += 2.0


def waiting_after(clock: SimpleNamespace, rest: float) -> WaitingTime:
    """After a step that loads one photo itself and computes for `rest` seconds, and a first step before it."""
    queue = ExampleQueue(cast("object", SlowSource(clock)), WorkerPool(0))  # type: ignore[arg-type]
    waiting = WaitingTime(queue)
    with waiting.timed():  # the first step, in which the workers start, does not count
        queue.take(0, 0)
    assert waiting.fraction == 0
    with waiting.timed():
        queue.take(0, 0)
        clock.now += rest
    return waiting


def test_the_part_of_the_steps_that_waits_is_reported(clock: SimpleNamespace) -> None:
    waiting = waiting_after(clock, 6.0)
    assert str(waiting) == "waiting for data 25 %"
    waiting.reset()
    assert str(waiting) == "waiting for data 0 %"


def test_long_waiting_gives_advice_once(clock: SimpleNamespace) -> None:
    assert waiting_after(clock, 98.0).advice(3, 9) == []
    waiting = waiting_after(clock, 18.0)
    (message,) = waiting.advice(3, 9)
    assert "wait 10 % of their time" in message and "no workers" in message
    assert "train.workers (now 0" in message and "3 of 9 decoded photos" in message
    assert waiting.advice(3, 9) == []
    assert "decoded" not in waiting_after(clock, 18.0).advice(9, 9)[0]
