"""Free memory, read from files as Linux has them."""

from pathlib import Path

import torch

from clothseg.training.memory.device import free_memory

CPU = torch.device("cpu")


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_free_memory_is_the_least_of_machine_and_groups(tmp_path: Path) -> None:
    """8 GB free; a group of 2 GB with 1.5 in use, 0.3 of which are copies of files."""
    write(tmp_path, {"proc/meminfo": "MemTotal: 9000000 kB\nMemAvailable: 8000000 kB\n"})
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
    assert free_memory(CPU, tmp_path / "nothing") is None
