"""`predict` and `cutout`, killed with SIGKILL: the same command again gives the folder of an uninterrupted one."""

import random
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from fresh_process import FreshProcesses
from PIL import Image

from clothseg.config import Config
from clothseg.models import MaskRCNN

from .conftest import TINY

PHOTOS = 40
COMMANDS: dict[str, list[str]] = {
    "predict": ["--format", "coco", "--format", "pictures", "--format", "csv", "--format", "class-maps"],
    "cutout": ["--score-threshold", "0"],
}
KILLED = """
import os, signal, sys, threading, time
from pathlib import Path

out, count, *words = sys.argv[1:]

def lines():
    return sum(path.read_bytes().count(b"\\n") for path in Path(out).glob(".unfinished-*"))

def kill(at):
    while lines() < at:
        time.sleep(0.0005)
    os.kill(os.getpid(), signal.SIGKILL)

threading.Thread(target=kill, args=[lines() + int(count)], daemon=True).start()
sys.argv = ["clothseg", *words]
from clothseg.cli import main
main()
"""
"""Runs a command, and kills it when so many lines are added to the records: at any moment of the work after them."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of many colours, and a network that finds two objects on each."""
    root = tmp_path_factory.mktemp("place")
    (root / "photos").mkdir()
    rng = np.random.default_rng(0)
    for number in range(PHOTOS):
        noise = rng.integers(0, 256, (6, 4, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((48, 72), Image.Resampling.BICUBIC).save(root / "photos" / f"{number}.png")
    MaskRCNN(Config.load("demo", TINY)).build(["Suit", "Dress"]).save(root / "network.safetensors")
    return root


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_killed_command_continues(command: str, place: Path, tmp_path: Path, fresh_torch: FreshProcesses) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows has no SIGKILL")
    words = [command, "network.safetensors", "photos", "--quiet", "--device", "cpu", *COMMANDS[command]]

    def run(out: Path, kill_after: int | None = None) -> int:
        command = [*words, "--out", str(out)]
        if kill_after is None:
            done = fresh_torch.run(command, place)
        else:
            done = fresh_torch.run([out, kill_after, *command], place, code=KILLED)
        assert done.wait() in {0, -signal.SIGKILL}, done.stderr
        return done.wait()

    assert run(tmp_path / "whole") == 0
    rng = random.Random(command)
    for _ in range(2):
        assert run(tmp_path / "out", rng.randint(2, 20)) == -signal.SIGKILL
    assert any(path.name.startswith(".unfinished-") for path in (tmp_path / "out").iterdir())
    (tmp_path / "out" / ".0123456789abcdef.png").write_bytes(b"cut")  # a file that was being written
    (tmp_path / "out" / ".mine").write_bytes(b"not ours")
    assert run(tmp_path / "out") == 0
    assert files_in(tmp_path / "out") == files_in(tmp_path / "whole") | {".mine": b"not ours"}
    assert len(files_in(tmp_path / "whole")) > PHOTOS
