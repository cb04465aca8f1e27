"""The cores that a process may use."""

import os
import subprocess
import sys

import pytest

from clothseg.cores import one_numba_thread, usable_cores


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


def test_numba_uses_one_thread_inside_and_as_many_as_before_afterwards() -> None:
    numba = pytest.importorskip("numba")
    before = numba.get_num_threads()
    with one_numba_thread():
        assert numba.get_num_threads() == 1
    assert numba.get_num_threads() == before
