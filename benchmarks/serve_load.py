"""Uploads from many clients at once: is every request answered rightly, and does memory stay flat?

Starts `clothseg serve` with an untrained network (or `--run`), then sends rounds of uploads from parallel clients, some
of them broken, too large or not photos. Every good photo must get the answer that it got alone; every bad one must be
refused. The memory of the server's process is measured after each round.

    python benchmarks/serve_load.py --clients 20 --uploads 200 --rounds 5 --record
"""

import argparse
import io
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
from PIL import Image

from bench_tools import add_record_options, record
from clothseg import sample
from clothseg.config import Config
from clothseg.models import MaskRCNN

Upload = tuple[str, bytes, int]
"""Its name, its bytes, and the status that it must get."""
MEGABYTE = 1 << 20


def main() -> int:
    """Runs the benchmark; returns 1 if a request was lost or answered wrongly."""
    options = parse()
    with tempfile.TemporaryDirectory() as folder, server(options.run or untrained(Path(folder))) as (address, process):
        uploads = good_photos(options.photos) + bad_photos()
        alone = {name: answer(address, content) for name, content, _ in uploads}
        wrong = [name for name, _, status in uploads if alone[name][0] != status]
        print("alone:", Counter(status for status, _ in alone.values()), "wrong:", wrong)
        memory = [resident(process)]
        seconds = []
        failures = 0
        for number in range(options.rounds):
            start = time.perf_counter()
            results = load(address, uploads, options)
            seconds.append(time.perf_counter() - start)
            failures += sum(result != alone[name] for name, result in results)
            memory.append(resident(process))
            counts = Counter(status for _, (status, _) in results)
            print(f"round {number + 1}: {seconds[-1]:.1f} s, {dict(counts)}, {memory[-1]:.0f} MB resident")
        total = options.rounds * options.uploads
        growth = memory[-1] - memory[1]
        print(f"{total} uploads, {failures + len(wrong)} lost or wrong, memory {growth:+.0f} MB since the first round")
        note = f"{options.clients} clients, {options.rounds} rounds of {options.uploads}, a fifth of them bad"
        record(options, "lost or wrong", str(failures + len(wrong)), "uploads", note)
        record(options, "memory after the first round", memory[1], "MB", note)
        record(options, "memory growth since the first round", growth, "MB", note)
        record(options, "uploads per second", total / sum(seconds), "1/s", note)
    return int(bool(failures or wrong))


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="a run or weights file; default: an untrained network")
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--uploads", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--photos", type=int, default=12, help="different good photos")
    add_record_options(parser)
    return parser.parse_args()


def untrained(folder: Path) -> Path:
    """The weights file of a small network that finds some instances on every photo."""
    settings = [
        *("weights=random", "input.height=192", "input.width=128", "network.fpn.channels=32"),
        *("inference.score_threshold=0", "inference.max_detections=5", "inference.mask_threshold=0.2"),
    ]
    path = folder / "net.safetensors"
    MaskRCNN(Config.load("demo", settings)).build(["Suit", "Dress", "Jeans"]).save(path)
    return path


@contextmanager
def server(run: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Runs the server; yields its address and its process."""
    command = [sys.executable, "-m", "clothseg", "serve", str(run), "--port", "0", "--no-browser", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip(), psutil.Process(process.pid)
        finally:
            process.terminate()


def good_photos(count: int) -> list[Upload]:
    """Photos of the sample."""
    paths = sorted(sample.folder().rglob("*.jpg"))[:count]
    return [(path.name, path.read_bytes(), 200) for path in paths]


def bad_photos() -> list[Upload]:
    """Uploads that must be refused."""
    whole = good_photos(1)[0][1]
    large = io.BytesIO()
    Image.new("1", (9000, 9000)).save(large, "PNG")
    return [
        ("text", b"no photo" * 100, 400),
        ("cut", whole[: len(whole) // 2], 400),
        ("pixels", large.getvalue(), 400),
        ("bytes", bytes(26 * MEGABYTE), 413),
        ("empty", b"", 400),
    ]


def answer(address: str, content: bytes) -> tuple[int, Any]:
    """Status and content of the answer to one upload; waits while the queue is full."""
    with httpx.Client(base_url=address, timeout=300, trust_env=False) as client:
        while True:
            got = client.post("/predict", files={"photo": ("a.jpg", content)})
            if got.status_code != 429:
                return got.status_code, got.content
            time.sleep(float(got.headers["Retry-After"]))


def load(address: str, uploads: list[Upload], options: argparse.Namespace) -> list[tuple[str, tuple[int, Any]]]:
    """Sends uploads from all clients at once; returns the name and the answer of each."""
    chance = random.Random(1)
    good = [upload for upload in uploads if upload[2] == 200]
    bad = [upload for upload in uploads if upload[2] != 200]
    jobs = [chance.choice(bad if n % 5 == 0 else good) for n in range(options.uploads)]
    with ThreadPoolExecutor(options.clients) as pool:
        answers = pool.map(lambda job: answer(address, job[1]), jobs)
        return [(name, got) for (name, _, _), got in zip(jobs, answers, strict=True)]


def resident(process: psutil.Process) -> float:
    """The memory of the process in MB."""
    return float(process.memory_info().rss / MEGABYTE)


if __name__ == "__main__":
    sys.exit(main())
