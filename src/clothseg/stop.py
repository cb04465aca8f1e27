"""Stops long work between two steps, never within one."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Self


def _known(*names: str) -> tuple[signal.Signals, ...]:
    return tuple(signal.Signals[name] for name in names if name in signal.Signals.__members__)


TERMINATIONS = _known("SIGTERM", "SIGHUP", "SIGBREAK")
"""What ends a command from outside. SIGHUP: the terminal is closed, or the connection to it breaks. SIGBREAK: Windows,
Ctrl-Break or a window that is closed."""
SIGNALS = (signal.SIGINT, *TERMINATIONS)


@contextmanager
def on_signals(numbers: Sequence[signal.Signals], handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Within the context, `handler` is called for the signals. In other threads than the main one nothing changes.

    A SIGHUP that is ignored stays ignored: `nohup` does that so that a command outlives its terminal. After a SIGHUP
    that is handled, what is printed to a terminal that is gone is dropped; otherwise each print would raise an error.
    """
    terminals = [file for file in (1, 2) if os.isatty(file)]

    def handle(number: int, frame: FrameType | None) -> None:
        if signal.Signals(number).name == "SIGHUP":
            _drop_output(terminals)
        handler(number, frame)

    before = {}
    if threading.current_thread() is threading.main_thread():  # Python allows handlers only there
        chosen = [number for number in numbers if not (number.name == "SIGHUP" and _is_ignored(number))]
        before = {number: signal.signal(number, handle) for number in chosen}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def _drop_output(terminals: Sequence[int]) -> None:
    """Sends what is printed to those of the terminals that are gone to nowhere."""
    gone = [file for file in terminals if not os.isatty(file)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for file in gone:
        os.dup2(nowhere, file)
    os.close(nowhere)


def _is_ignored(number: signal.Signals) -> bool:
    return signal.getsignal(number) is signal.SIG_IGN


@contextmanager
def starting_workers() -> Iterator[None]:
    """Processes that are started within the context never see the signals; here they arrive at its end.

    Ctrl-C in a terminal, and its end, reach every process in it. Only the first one has to act. Elsewhere than on
    Windows a new process inherits which signals are blocked.
    """
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_signals() -> None:
    """In a worker process: makes it ignore the signals, also on Windows."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


class StopRequest:
    """Inside this context the first Ctrl-C (SIGTERM, SIGHUP) only requests a stop; the second one interrupts at once.

    Attributes:
        asked: whether a stop was requested.
    """

    def __init__(self) -> None:
        self.asked = False
        self._handlers = ExitStack()

    def __enter__(self) -> Self:
        self._handlers.enter_context(on_signals(SIGNALS, self._ask))
        return self

    def __exit__(self, *_: object) -> None:
        self._handlers.close()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
