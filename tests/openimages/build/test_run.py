"""Chunks, worker processes and killed builds."""

import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from clothseg import sample
from clothseg.openimages import BuildOptions, build_dataset

KILLED = """
import sys, pathlib
from clothseg.openimages import BuildOptions, build_dataset
options = BuildOptions(val_fraction=0.2, limit=40, max_size=200, overwrite=True, chunk_photos=4)
build_dataset(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), ["Suit", "Dress", "Jeans"], options)
"""


@pytest.mark.slow
def test_workers_write_the_same_bytes(tmp_path: Path, digests: Any) -> None:
    parallel = BuildOptions(limit=20, workers=2, chunk_photos=7, min_parallel_photos=1)
    assert build_dataset(sample.folder(), tmp_path / "one", ["Suit", "Dress"], parallel).speed.workers == 2
    build_dataset(sample.folder(), tmp_path / "other", ["Suit", "Dress"], BuildOptions(limit=20))
    assert digests(tmp_path / "one") == digests(tmp_path / "other")


@pytest.mark.slow
def test_killed_at_random_moments_a_rerun_gives_the_same_bytes(tmp_path: Path, digests: Any) -> None:
    command = [sys.executable, "-c", KILLED, str(sample.folder())]
    subprocess.run([*command, str(tmp_path / "whole")], check=True)
    whole = digests(tmp_path / "whole")
    out, chance = tmp_path / "out", random.Random(7)
    killed = 0
    for _ in range(25):
        running = subprocess.Popen([*command, str(out)])
        time.sleep(chance.uniform(0.3, 1.5))
        if running.poll() is not None:
            break
        running.kill()
        running.wait()
        killed += 1
        if out.exists():
            assert digests(out) == whole
    subprocess.run([*command, str(out)], check=True)
    assert killed
    assert digests(out) == whole
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "whole"]
