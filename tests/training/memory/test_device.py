"""Free memory: of the machine, and of control groups as Linux describes them in files."""

import mmap
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch

from clothseg.training.memory.device import free_memory, resident

CPU = torch.device("cpu")


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def test_free_memory_is_the_least_of_machine_and_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """8 GB free; a group of 2 GB with 1.5 in use, 0.3 of which are cached files."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=8_000_000 * 1024))
    assert free_memory(CPU, tmp_path) == 8_000_000 * 1024
    write(tmp_path, {"proc/self/cgroup": "0::/a/b\n"})
    group = {
        "memory.max": "2000000000",
        "memory.current": "1500000000",
        "memory.stat": "anon 5\ninactive_file 300000000",
    }
    write(tmp_path / "sys/fs/cgroup/a", group)
    write(tmp_path / "sys/fs/cgroup/a/b", {"memory.max": "max", "memory.current": "1400000000"})
    assert free_memory(CPU, tmp_path) == 800_000_000
    write(tmp_path, {"proc/self/cgroup": "4:memory:/c\n1:cpu:/\n"})
    old = {"memory.limit_in_bytes": "9223372036854771712", "memory.usage_in_bytes": "5"}
    write(tmp_path / "sys/fs/cgroup/memory", old)
    write(tmp_path / "sys/fs/cgroup/memory/c", old | {"memory.limit_in_bytes": "105"})
    assert free_memory(CPU, tmp_path) == 100


def test_resident_memory_grows_with_allocated_memory() -> None:
    before = resident()
    held = np.frombuffer(mmap.mmap(-1, 200_000_000), np.uint8)  # new pages, not what the process freed before
    held[:] = 1
    assert 150_000_000 < resident() - before < 400_000_000


@pytest.mark.skipif(not Path("/proc/meminfo").is_file(), reason="only Linux has /proc")
def test_free_memory_matches_the_kernel(tmp_path: Path) -> None:
    lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    stated = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    assert free_memory(CPU, tmp_path) == pytest.approx(stated, rel=0.2)
