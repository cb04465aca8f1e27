"""Ctrl-C, SIGTERM and SIGHUP while a training runs."""

import importlib
import os
import signal
import subprocess
import sys
from enum import IntEnum

import pytest

from clothseg import stop
from clothseg.stop import StopRequest, starting_workers

ALL = [signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@pytest.mark.parametrize("number", ALL)
def test_the_first_signal_requests_a_stop_and_the_second_interrupts(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with StopRequest() as request:
        assert not request.asked
        signal.raise_signal(number)
        assert request.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) is before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals for one process")
@pytest.mark.parametrize("number", ALL)
def test_signals_do_not_reach_workers_even_while_they_start(number: signal.Signals) -> None:
    """Ctrl-C in a terminal reaches all processes in it."""
    code = "import sys; print('started', flush=True); sys.stdin.read(); print('done')"
    with starting_workers():
        worker = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    worker.send_signal(number)
    answer, _ = worker.communicate(b"")
    assert (worker.returncode, answer.split()) == (0, [b"started", b"done"])
    with StopRequest() as request:
        with starting_workers():
            signal.raise_signal(number)
            assert not request.asked
        assert request.asked  # it is not lost


def test_nohup_keeps_a_command_alive_when_its_terminal_is_closed() -> None:
    """`nohup` starts a command that ignores SIGHUP."""
    if sys.platform == "win32":
        pytest.skip("Windows has no SIGHUP")
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopRequest() as request:
            signal.raise_signal(signal.SIGHUP)
            assert not request.asked
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_work_goes_on_when_its_terminal_is_gone() -> None:
    """The step in work ends although it prints; the end of the terminal is no error."""
    if sys.platform == "win32":
        pytest.skip("Windows has no pseudo-terminals")
    import pty

    code = (
        "import os, sys, time\n"
        "from clothseg.stop import StopRequest\n"
        "with StopRequest() as stop:\n"
        "    print('started', flush=True)\n"
        "    while not stop.asked: time.sleep(0.01)\n"
        "    print('the step ends', flush=True)\n"
        "    os._exit(7)\n"
    )
    process, terminal = pty.fork()
    if process == 0:
        os.execv(sys.executable, [sys.executable, "-c", code])
    assert b"started" in os.read(terminal, 100)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 7


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
