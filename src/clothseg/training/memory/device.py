"""How much memory there is: of the machine, of the control group of this process, of a GPU."""

from pathlib import Path

import psutil
import torch

Bytes = int
_NO_LIMIT = 1 << 60
"""Control groups without a limit have a number near 2 ** 63."""


def shares_main_memory(device: torch.device) -> bool:
    """Whether a device uses the machine's own memory, as a CPU and Apple's GPUs do."""
    return device.type != "cuda"


def empty_device_caches() -> None:
    """Gives memory that PyTorch keeps for later back to the GPU."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()


def free_memory(device: torch.device, root: Path = Path("/")) -> Bytes:
    """The memory that can still be allocated on a device.

    In the machine's own memory this is what the system calls available, or what the control groups of the process
    (containers, batch systems; Linux only) leave, whichever is less.

    Args:
        device: the CPU or a GPU.
        root: folder that contains `proc` and `sys`.
    """
    if not shares_main_memory(device):
        return int(torch.cuda.mem_get_info(device)[0])
    return min([int(psutil.virtual_memory().available), *_left_in_groups(root)])


def resident() -> Bytes:
    """The memory that this process occupies now."""
    return int(psutil.Process().memory_info().rss)


def format_bytes(size: Bytes) -> str:
    """`873 MB`, `4.3 GB`."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _left_in_groups(root: Path) -> list[Bytes]:
    """What each memory control group above this process (version 2 and 1) leaves."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
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
        for folder in (group, *group.parents):  # in a container the group is the root that it sees
            most, used = _number(folder / limit), _number(folder / usage)
            if most is not None and used is not None and most < _NO_LIMIT:
                left.append(max(0, most - used + _cached(folder)))
            if folder == base:
                break
    return left


def _cached(folder: Path) -> Bytes:
    """Cached file contents, which the kernel drops when memory is needed."""
    try:
        rows = [line.split() for line in (folder / "memory.stat").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return 0
    known = {name: int(value) for name, value in rows}
    return known.get("total_inactive_file", known.get("inactive_file", 0))


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
