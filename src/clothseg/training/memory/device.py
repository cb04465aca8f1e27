"""How much memory is free: of the machine, of the control group of this process, of a GPU."""

import os
from pathlib import Path

import torch

Bytes = int
_NO_LIMIT = 1 << 60
"""Control groups without a limit have a number near 2 ** 63."""


def free_memory(device: torch.device, root: Path = Path("/")) -> Bytes | None:
    """Free memory of a device in bytes; None if the system does not say.

    On a CPU it is what the kernel calls available, or what the limits of the process's control groups (containers,
    batch systems) leave, whichever is less.

    Args:
        device: the CPU or a GPU.
        root: folder that `proc` and `sys` are in.
    """
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    found = [size for size in (_available(root), *_left_in_groups(root)) if size is not None]
    return min(found) if found else None


def resident(root: Path = Path("/")) -> Bytes | None:
    """Resident memory of this process in bytes; None if the system does not say."""
    pages = _number(root / "proc/self/statm", field=1)
    return None if pages is None else pages * os.sysconf("SC_PAGE_SIZE")


def format_bytes(size: Bytes) -> str:
    """`873 MB`, `4.3 GB`."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _available(root: Path) -> Bytes | None:
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return None


def _left_in_groups(root: Path) -> list[Bytes]:
    """What each control group above this process (version 2 and 1) leaves."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    left = []
    for line in lines:
        _, controllers, place = line.split(":", 2)
        if not controllers:
            base, limit, usage = root / "sys/fs/cgroup", "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            base, limit, usage = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        group = base / place.strip("/")
        for folder in (group, *group.parents):  # in a container the group is the root
            most, used = _number(folder / limit), _number(folder / usage)
            if most is not None and used is not None and most < _NO_LIMIT:
                left.append(max(0, most - used + _cached(folder)))
            if folder == base:
                break
    return left


def _cached(folder: Path) -> Bytes:
    """Cached files, whose memory the kernel gives back on demand."""
    try:
        rows = [line.split() for line in (folder / "memory.stat").read_text().splitlines()]
    except OSError:
        return 0
    known = {name: int(value) for name, value in rows}
    return known.get("total_inactive_file", known.get("inactive_file", 0))


def _number(path: Path, field: int = 0) -> int | None:
    try:
        return int(path.read_text().split()[field])
    except (OSError, ValueError, IndexError):
        return None
