"""`benchmarks/gpu_check.py`: its limits, what fails in it, and its flows on a CPU."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from gpu_check_flows import FLOWS
from gpu_check_tools import NotHereError, Part, Row, Setup, repeat, run_parts, table

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "gpu_check.py"


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(torch.device("cpu"), tmp_path)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no alarm")
def test_a_part_that_fails_or_takes_too_long_does_not_stop_the_others(setup: Setup) -> None:
    def fails(_: Setup) -> Sequence[Row]:
        raise ValueError("first line\nsecond | line")

    def takes_long(_: Setup) -> Sequence[Row]:
        while True:
            time.sleep(0.01)

    def is_not_here(_: Setup) -> Sequence[Row]:
        raise NotHereError("needs a GPU")

    def works(_: Setup) -> Sequence[Row]:
        return [Row("first", "1"), Row("second", "2", "3", "miss")]

    parts: dict[str, Part] = {"fails": fails, "long": takes_long, "absent": is_not_here, "works": works}
    rows = list(run_parts(parts, setup, time.monotonic() + 60, 1.5))
    assert [(row.part, row.verdict) for row in rows] == [
        ("fails", "error"), ("long", "not run"), ("absent", "not run"), ("first", "pass"), ("second", "miss"),
    ]  # fmt: skip
    assert rows[0].result == "ValueError: first line second | line"
    lines = table(rows).splitlines()
    assert len(lines) == 2 + len(rows)
    assert all(line.count("|") == 6 for line in lines)
    late = list(run_parts(parts, setup, time.monotonic(), 1.5))
    assert {row.verdict for row in late} == {"not run"}


def test_turns_alternate_and_the_first_does_not_count() -> None:
    called: list[str] = []

    def call(name: str) -> float:
        called.append(name)
        return float(len(called))

    assert repeat([lambda: call("a"), lambda: call("b")], 60, 2) == [[3.0, 5.0], [4.0, 6.0]]
    assert "".join(called) == "ababab"


def test_a_flow_runs_on_a_cpu(setup: Setup) -> None:
    """It trains, evaluates and predicts; the others are run by the slow test."""
    (row,) = run_parts({"predict, photos": FLOWS["predict, photos"]}, setup, time.monotonic() + 300, 300)
    assert row.verdict == "pass", row.result
    assert row.result.endswith("detections")


@pytest.mark.slow
def test_all_flows_run_on_a_cpu(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--device", "cpu", "--seconds", "3000", "--only", *FLOWS]
    done = subprocess.run([*command, "--json", str(tmp_path / "gpu.json")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))
    verdicts = {row["part"]: row["verdict"] for row in found["rows"]}
    assert verdicts.keys() == FLOWS.keys()
    assert {part for part, verdict in verdicts.items() if verdict != "pass"} <= {
        "fit, sgd, 16-mixed, EMA, accumulated",
        "predict, video",
    }
