"""Compares the time and memory of filtering Open Images tables with `csv.reader` and pandas.

    python benchmarks/filter_tables.py [FOLDER] [--with PYTHON] [--rows 1.0] [--record]

Task: find the rows of three classes in one partition, in generated tables as long as those of train: 2.69 million masks
and 14.6 million boxes, 1.9 GB. FOLDER keeps them for the next call; generating them takes a minute. `--rows 0.01` makes
tables of a hundredth. Each reader runs in its own process: clothseg, the csv module (`csv.reader`, its fastest), and
pandas if the interpreter of `--with` has it. The readers alternate three times; the best time counts. Processor time is
that of all cores together, which is the better measure on a busy machine. Memory is the peak of the process (Linux).
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from bench_tools import add_record_options, record
from clothseg import sample

CLASSES = ("/m/01xyhv", "/m/01d40f", "/m/0fly7")
ROWS = {"masks": 2_690_000, "boxes": 14_600_000}
HEADERS = {
    "masks": "MaskPath,ImageID,LabelName,BoxID,BoxXMin,BoxXMax,BoxYMin,BoxYMax,PredictedIoU,Clicks",
    "boxes": "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,"
    "IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside",
}
CLOTHSEG = """
import sys, time, pathlib
from clothseg.openimages import read_boxes, read_masks
start, processor = time.perf_counter(), time.process_time()
read = read_masks if "masks" in sys.argv[1] else read_boxes
found = len(read(pathlib.Path(sys.argv[1]), sys.argv[2:], frozenset("f")))
"""
CSV = """
import csv, sys, time
start, processor = time.perf_counter(), time.process_time()
with open(sys.argv[1], newline="") as stream:
    rows = csv.reader(stream)
    header = next(rows)
    image, label = header.index("ImageID"), header.index("LabelName")
    wanted = set(sys.argv[2:])
    found = sum(row[label] in wanted and row[image][0] == "f" for row in rows)
"""
PANDAS = """
import sys, time
import pandas as pd
start, processor = time.perf_counter(), time.process_time()
found = 0
for part in pd.read_csv(sys.argv[1], dtype=str, chunksize=500_000):
    found += int((part["LabelName"].isin(sys.argv[2:]) & part["ImageID"].str.startswith("f")).sum())
"""
END = """
import json
seconds, processor = time.perf_counter() - start, time.process_time() - processor
# The peak resident memory; getrusage would count the process that started this one.
kilobytes = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"found": found, "seconds": seconds, "processor": processor, "megabytes": kilobytes / 1024}))
"""


def generate(path: Path, kind: str, rows: int) -> None:
    """Writes a table of random rows; the classes are as uneven as real ones."""
    names = (sample.folder() / "class-descriptions-boxable.csv").read_text().splitlines()
    mids = [line.split(",")[0] for line in names]
    rng = np.random.default_rng(0)
    frequency = 1 / np.arange(1, len(mids) + 1) ** 1.1
    with path.open("w") as stream:
        stream.write(HEADERS[kind] + "\n")
        for start in range(0, rows, 100_000):
            count = min(100_000, rows - start)
            ids = (rng.integers(0, 2**63, count, dtype=np.uint64) * 2 + 1).tolist()
            labels = rng.choice(len(mids), count, p=frequency / frequency.sum()).tolist()
            boxes, numbers = rng.random((count, 4)).tolist(), rng.integers(0, 2**32, count).tolist()
            clicks = ";".join(f"{rng.random():.5f} {rng.random():.5f} {n % 2}" for n in range(10))
            for image, label, box, number in zip(ids, labels, boxes, numbers, strict=True):
                sides = ",".join(f"{side:.6f}" for side in box)
                mid = mids[label]
                if kind == "masks":
                    name = f"{image:016x}_{mid[1:].replace('/', '')}_{number:08x}.png"
                    stream.write(f"{name},{image:016x},{mid},{number:08x},{sides},0.{number % 100000:05d},{clicks}\n")
                else:
                    stream.write(f"{image:016x},xclick,{mid},1,{sides},{number & 1},{number >> 1 & 1},0,0,0\n")


def measure(python: str, program: str, path: Path) -> dict[str, float]:
    """Runs one reader in a new process; returns what it prints: rows found, seconds, megabytes."""
    done = subprocess.run(
        [python, "-c", program + END, str(path), *CLASSES], check=True, capture_output=True, text=True
    )
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def compare(kind: str, path: Path, readers: dict[str, tuple[str, str]], options: argparse.Namespace) -> None:
    """Runs all readers on one table, and prints and records the ratios."""
    runs = [{name: measure(*reader, path) for name, reader in readers.items()} for _ in range(3)]
    assert len({run[name]["found"] for run in runs for name in readers}) == 1
    print(f"{kind}: {path.stat().st_size / 1e6:.0f} MB, {runs[0]['clothseg']['found']:.0f} rows found")
    best = {name: min(run[name]["seconds"] for run in runs) for name in readers}
    for name in readers:
        memory = max(run[name]["megabytes"] for run in runs)
        processor = min(run[name]["processor"] for run in runs)
        ratio = best[name] / best["clothseg"]
        print(
            f"  {name}: {best[name]:.2f} s, {processor:.2f} s of processor time, {memory:.0f} MB, "
            f"{ratio:.1f} times the time of clothseg"
        )
        record(options, f"{kind}, {name}: wall time", f"{best[name]:.2f}", "s", "best of three")
        record(options, f"{kind}, {name}: processor time", f"{processor:.2f}", "s", "best of three")
        record(options, f"{kind}, {name}: peak memory", f"{memory:.0f}", "MB")
        if name != "clothseg":
            record(options, f"{kind}: speed-up over {name}", f"{ratio:.1f}", "times", "wall time, best of three")


def main() -> None:
    """Generates missing tables, runs the readers in turn and prints the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(tempfile.gettempdir()) / "clothseg-tables"
    parser.add_argument("folder", type=Path, nargs="?", default=default, help="keeps the tables")
    parser.add_argument("--with", dest="python", help="a Python interpreter that has pandas")
    parser.add_argument("--rows", type=float, default=1.0, help="length of the tables, 1 is that of train")
    add_record_options(parser)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    readers = {"clothseg": (sys.executable, CLOTHSEG), "csv.reader": (sys.executable, CSV)}
    if options.python:
        readers["pandas"] = (options.python, PANDAS)
    for kind, rows in ROWS.items():
        count = max(round(rows * options.rows), 1)
        path = options.folder / (f"{kind}.csv" if count == rows else f"{kind}-{count}.csv")
        if not path.exists():
            generate(path, kind, count)
        compare(kind, path, readers, options)


if __name__ == "__main__":
    main()
