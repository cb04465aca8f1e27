"""The cores that a process may use."""

import os
import subprocess
import sys

import pytest

from clothseg.cores import possible_processes, usable_cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot limit a process to some cores")
def test_only_the_allowed_cores_count() -> None:
    limited = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
    words = f"{limited}from clothseg.cores import usable_cores; print(usable_cores())"
    shown = subprocess.run([sys.executable, "-c", words], check=True, capture_output=True, text=True).stdout
    assert int(shown) == 1


def test_systems_without_affinity_give_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert usable_cores() == os.cpu_count()
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == 1


@pytest.mark.parametrize(("system", "most"), [("win32", 61), ("linux", 200), ("darwin", 200)])
def test_windows_waits_for_61_processes_at_most(system: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", system)
    assert [possible_processes(wanted) for wanted in (1, 61, 200)] == [1, 61, most]


@pytest.mark.parametrize(("given", "started"), [({}, 1), ({"NUMBA_NUM_THREADS": "2"}, 2)])
def test_numba_starts_no_threads_that_nobody_wants(given: dict[str, str], started: int) -> None:
    words = (
        "from clothseg.cores import one_numba_thread\n"
        "with one_numba_thread():\n    import numba; inside = numba.get_num_threads()\n"
        "numba.njit('i8(i8)')(lambda x: x + 1)\n"  # to compile, Numba reads the environment again
        "print(inside, numba.config.NUMBA_NUM_THREADS, numba.get_num_threads())"
    )
    known = {name: value for name, value in os.environ.items() if name != "NUMBA_NUM_THREADS"}
    shown = subprocess.run([sys.executable, "-c", words], env=known | given, check=True, capture_output=True, text=True)
    assert shown.stdout.split() == ["1", str(started), str(started)]
