"""Worker processes: they are gone when the training is, and an end of one is an error that says what to do."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from clothseg import sample
from clothseg.config import AugmentSettings, Config
from clothseg.dataset import CocoLikeDataset, ExampleSource
from clothseg.errors import RunError
from clothseg.loading import WorkerPool
from clothseg.networks import input_transform
from clothseg.photos import read_photo
from clothseg.training.examples import ExampleQueue

SCRIPT = """
import sys, time
from pathlib import Path
from test_worker import make_source
from clothseg.loading import WorkerPool
from clothseg.training.examples import ExampleQueue
pool = WorkerPool(2, processes=True)  # not under `if __name__ == "__main__"`: a worker does not run this file
queue = ExampleQueue(make_source(), pool)
queue.prefetch([(0, 1), (1, 1), (2, 1)])
for place in ((0, 1), (1, 1), (2, 1)):
    queue.take(*place)
print(*(worker.process.pid for worker in pool.workers_started), flush=True)
time.sleep(600)
"""


def make_source(folder: Path | None = None) -> ExampleSource:
    """Three photos of the sample without objects, flipped or not."""
    dataset = CocoLikeDataset()
    dataset.add_class("coco", 1, "Suit")
    for number, path in enumerate(sorted(((folder or sample.folder()) / "train").glob("*.jpg"))[:3], start=1):
        height, width = read_photo(path).shape[:2]
        dataset.add_image(number, path, height, width, [])
    return ExampleSource(dataset.prepare(), AugmentSettings(), 0, input_transform(Config.load("demo")))


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for has ended too."""
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at /proc")
@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_workers_end_with_a_script_that_is_killed(name: str, tmp_path: Path) -> None:
    """The script has no guard against being run again by its workers, and needs none."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               env=environment, text=True)  # fmt: skip
    assert process.stdout is not None
    workers = [int(word) for word in process.stdout.readline().split()]
    assert workers and not any(map(gone, workers))
    process.send_signal(signal.Signals[name])
    process.wait(timeout=60)
    until = time.monotonic() + 60
    while not all(map(gone, workers)) and time.monotonic() < until:
        time.sleep(0.02)
    assert all(map(gone, workers))


def test_a_killed_worker_is_an_error_that_says_what_to_do() -> None:
    pool = WorkerPool(1, processes=True)
    queue = ExampleQueue(make_source(), pool)
    try:
        queue.prefetch([(0, 1)])
        queue.take(0, 1)
        pool.workers_started[0].process.kill()
        queue.prefetch([(1, 1)])
        with pytest.raises(RunError, match=r"is gone \(.*train\.workers.*train\.worker_type=thread"):
            queue.take(1, 1)
    finally:
        pool.close()
    assert all(worker.process.poll() is not None for worker in pool.workers_started)


@pytest.mark.skipif(sys.platform == "win32", reason="there the processes share no cache")
def test_processes_share_the_decoded_photos(tmp_path: Path) -> None:
    """What one process has decoded, another one finds, even after the file is gone."""
    (tmp_path / "train").mkdir()
    for path in sorted((sample.folder() / "train").glob("*.jpg"))[:3]:
        (tmp_path / "train" / path.name).write_bytes(path.read_bytes())
    source = make_source(tmp_path)
    expected = [source.load(position, 5) for position in range(3)]
    sizes = [entry.height * entry.width * 3 for entry in source.dataset.images]
    assert source.dataset.cache_images(sizes[0] + sizes[1], shared=True) == 2
    for attempt in range(2):
        pool = WorkerPool(1, processes=True)
        queue = ExampleQueue(source, pool)
        try:
            positions = range(3 if attempt == 0 else 2)  # the third one did not fit
            queue.prefetch([(position, 5) for position in positions])
            for position in positions:
                assert torch.equal(queue.take(position, 5)[0], expected[position][0])
        finally:
            pool.close()
        for entry in source.dataset.images:
            entry.path.unlink(missing_ok=True)
    photo = source.dataset.load_image(1)  # this process uses the same memory
    photo[:] = 0  # a copy
    assert not np.array_equal(source.dataset.load_image(1), photo)


def test_a_dataset_class_of_the_script_is_loaded_in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CocoLikeDataset, "__module__", "__main__")
    pool = WorkerPool(1, processes=True)
    queue = ExampleQueue(make_source(), pool)
    queue.prefetch([(0, 1)])
    assert queue.take(0, 1)[0].dtype == torch.uint8
    assert not pool.processes and not pool.workers_started
    pool.close()


@pytest.mark.parametrize(
    ("device", "cores", "ranks", "kind", "workers", "expected"),
    [
        ("cpu", 16, 1, "auto", "auto", "1 thread"),
        ("cuda", 16, 1, "auto", "auto", "8 processes"),
        ("cuda", 16, 4, "auto", "auto", "3 processes"),
        ("cuda", 1, 1, "auto", "auto", "1 process"),
        ("mps", 8, 1, "auto", "auto", "7 processes"),
        ("cuda", 16, 1, "thread", "5", "5 threads"),
        ("cpu", 2, 1, "process", "2", "2 processes"),
        ("cuda", 16, 1, "auto", "0", "no workers"),
    ],
)
def test_settings_choose_the_workers(
    device: str, cores: int, ranks: int, kind: str, workers: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clothseg.loading.pool.usable_cores", lambda: cores)
    settings = Config.load("demo", [f"train.workers={workers}", f"train.worker_type={kind}"]).train
    pool = WorkerPool.for_training(settings, torch.device(device), ranks)
    assert pool.description == expected
    assert pool.pinned == (device == "cuda")
