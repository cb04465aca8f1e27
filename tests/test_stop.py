"""Ctrl-C and SIGTERM while a training runs."""

import importlib
import signal
from enum import IntEnum

import pytest

from clothseg import stop
from clothseg.stop import StopRequest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_requests_a_stop_and_the_second_interrupts(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with StopRequest() as request:
        assert not request.asked
        signal.raise_signal(number)
        assert request.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) is before


def test_ctrl_break_stops_the_run_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    class WindowsSignals(IntEnum):
        SIGINT = 2
        SIGTERM = 15
        SIGBREAK = 21

    try:
        with monkeypatch.context() as patch:
            patch.setattr(signal, "Signals", WindowsSignals)
            assert [number.name for number in importlib.reload(stop).SIGNALS] == ["SIGINT", "SIGTERM", "SIGBREAK"]
    finally:
        importlib.reload(stop)
