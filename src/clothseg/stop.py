"""Stops long work between two steps, never within one."""

import signal
import threading
from types import FrameType
from typing import Any, Self

SIGNALS = tuple(
    signal.Signals[name]
    for name in ("SIGINT", "SIGTERM", "SIGBREAK")  # SIGBREAK: Ctrl-Break, or the window is closed, on Windows
    if name in signal.Signals.__members__
)


class StopRequest:
    """Inside this context the first Ctrl-C (or SIGTERM) only requests a stop; the second one interrupts at once.

    Attributes:
        asked: whether a stop was requested.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # Python allows handlers only there
            self._before = {number: signal.signal(number, self._ask) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
