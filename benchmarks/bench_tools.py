"""Tools that the benchmarks share: rows for `benchmarks/results/`, and the peak memory of a process.

Not a benchmark itself: run alone, it does nothing.
"""

import argparse
import csv
import os
import resource
import shlex
import subprocess
import sys
from datetime import date
from pathlib import Path

COLUMNS = ("date", "commit", "machine", "command", "name", "value", "unit", "note")
RESULTS = Path(__file__).resolve().parent / "results"


def add_record_options(parser: argparse.ArgumentParser) -> None:
    """Adds `--record` and `--note` to the options of a benchmark."""
    parser.add_argument(
        "--record", action="store_true", help=f"append the results to benchmarks/results/{Path(sys.argv[0]).stem}.csv"
    )
    parser.add_argument("--note", default="", help="added to the note of each recorded row, such as 'shared cores'")


def record(
    options: argparse.Namespace, name: str, value: float | str, unit: str = "", note: str = "", device: str = ""
) -> None:
    """Appends one result to the CSV file of the running benchmark, if `--record` was given.

    Args:
        options: the parsed options, see `add_record_options`.
        name: what was measured, named like the rows that the file already has.
        value: the number; a float is written with 4 significant digits, a text as it is.
        unit: of the value.
        note: what else a reader must know.
        device: name of the GPU; the default is a description of the CPU.
    """
    if not options.record:
        return
    path = RESULTS / f"{Path(sys.argv[0]).stem}.csv"
    is_new = not path.exists()
    row = {
        "date": date.today().isoformat(),
        "commit": current_commit(),
        "machine": device or describe_cpu(),
        "command": current_command(),
        "name": name,
        "value": f"{value:.4g}" if isinstance(value, float) else value,
        "unit": unit,
        "note": "; ".join(filter(None, (note, options.note))),
    }
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerow(row)


def current_commit() -> str:
    """The short hash of the checked-out commit, with `-dirty` if code is changed; empty outside of a repository."""
    root = RESULTS.parent.parent
    try:
        show = ["git", "rev-parse", "--short=7", "HEAD"]
        commit = subprocess.run(show, cwd=root, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
    compare = ["git", "diff", "--quiet", "HEAD", "--", "src", "benchmarks/*.py"]
    return commit + ("-dirty" if subprocess.run(compare, cwd=root, check=False).returncode else "")


def current_command() -> str:
    """The command line of this benchmark, without `--record` and `--note`; a path becomes `PATH`."""
    arguments, skip = [], False
    for word in sys.argv[1:]:
        if not (skip or word == "--record" or word.startswith("--note")):
            arguments.append("PATH" if os.sep in word else word)
        skip = word == "--note"
    return shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *arguments])


def describe_cpu() -> str:
    """How many CPU cores this process may use, and their model, such as `2 CPU cores, AMD EPYC`."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return ", ".join(filter(None, (f"{cores} CPU cores", model)))


def reset_peak_memory() -> None:
    """Forgets the peak memory so far, where the system can (Linux)."""
    clear_refs = Path("/proc/self/clear_refs")
    if clear_refs.exists():
        clear_refs.write_text("5")


def peak_memory() -> int:
    """The largest resident memory of this process in bytes, since the start or the last `reset_peak_memory`."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
