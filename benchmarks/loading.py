"""Compares ways to load and augment training photos: in the step itself, in threads, in processes.

    python benchmarks/loading.py [SOURCE] [--presets small paper] [--workers 2] [--photos 64] [--repeats 5] [--record]

Each way loads the same photos and versions, in turns; photos/s are medians. The own processor time is that of the
process that trains, all of its threads together: what loading takes from the step. With no workers it is the time of a
photo on one core. About a minute.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from bench_tools import add_record_options, record
from clothseg import sample
from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset, ExampleSource
from clothseg.loading import WorkerPool
from clothseg.networks import input_transform
from clothseg.openimages import build_dataset
from clothseg.training.examples import ExampleQueue

CLASSES = ["Suit", "Dress", "Jeans"]


def load_all(queue: ExampleQueue, places: list[tuple[int, int]], ahead: int) -> tuple[float, float]:
    """Wall and own processor time of loading the examples, seconds; `ahead` of them are under way at a time."""
    wall, own = time.perf_counter(), time.process_time()
    for number, place in enumerate(places):
        queue.prefetch(places[number : number + ahead])
        queue.take(*place)
    return time.perf_counter() - wall, time.process_time() - own


def compare(data: CocoLikeDataset, preset: str, options: argparse.Namespace) -> None:
    """Prints and records one preset's rates."""
    config = Config.load(preset)
    source = ExampleSource(data, config.augment, 0, input_transform(config))
    count = options.workers
    pools = {
        "no workers": WorkerPool(0),
        f"{count} threads": WorkerPool(count),
        f"{count} processes": WorkerPool(count, processes=True),
    }
    queues = {name: ExampleQueue(source, pool) for name, pool in pools.items()}
    places = [(number % len(data), number + 1) for number in range(options.photos)]
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in pools}
    for attempt in range(options.repeats + 1):
        for name, queue in queues.items():
            seconds = load_all(queue, places, 3 * count)
            if attempt:  # the first one starts the workers
                times[name].append(seconds)
    note = f"median of {options.repeats} times {options.photos} photos"
    rates = {}
    for name, measured in times.items():
        wall, own = (statistics.median(column) for column in zip(*measured, strict=True))
        rates[name] = options.photos / wall
        each = 1000 * own / options.photos
        print(f"{preset}, {name}: {rates[name]:.1f} photos/s, own processor time {each:.1f} ms a photo")
        record(options, f"{preset}, {name}", f"{rates[name]:.1f}", "photos/s", note)
        record(options, f"{preset}, {name}: own processor time", f"{each:.2f}", "ms a photo", note)
    ratio = rates[f"{count} processes"] / rates[f"{count} threads"]
    print(f"{preset}: {count} processes load {ratio:.2f} times as many photos as {count} threads")
    record(options, f"{preset}: {count} processes / {count} threads", f"{ratio:.2f}", "times", note)
    for pool in pools.values():
        pool.close()


def main() -> None:
    """Prints photos/s and own processor time of each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, nargs="?", default=sample.folder(), help="folder of Open Images files")
    parser.add_argument("--presets", nargs="+", default=["small", "paper"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--photos", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    add_record_options(parser)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        build_dataset(options.source, Path(folder) / "data", CLASSES)
        data = CocoLikeDataset().load_data(Path(folder) / "data").prepare()
        for preset in options.presets:
            compare(data, preset, options)


if __name__ == "__main__":
    main()
