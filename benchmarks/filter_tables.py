"""How long does it take to find three classes of one partition in lists as long as those of train, and how much memory?

    python benchmarks/filter_tables.py [FOLDER] [--with PYTHON]

FOLDER gets the generated lists (2.69 M masks, 14.6 M boxes; 1.9 GB) and keeps them for another run. Each reader runs in
a process of its own: ours, the csv module (`csv.reader`, the quickest it has), and pandas if the interpreter given by
--with has it. Best of three in turn: wall time, and processor time of all cores together, which says more on a
busy machine. Memory is the process's largest resident size (Linux).
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from clothseg import sample

CLASSES = ("/m/01xyhv", "/m/01d40f", "/m/0fly7")
ROWS = {"masks": 2_690_000, "boxes": 14_600_000}
HEADERS = {
    "masks": "MaskPath,ImageID,LabelName,BoxID,BoxXMin,BoxXMax,BoxYMin,BoxYMax,PredictedIoU,Clicks",
    "boxes": "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,"
    "IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside",
}
OURS = """
import sys, time, pathlib
from clothseg.openimages import read_boxes, read_masks
begun, busy = time.perf_counter(), time.process_time()
read = read_masks if "masks" in sys.argv[1] else read_boxes
found = len(read(pathlib.Path(sys.argv[1]), sys.argv[2:], frozenset("f")))
"""
CSV = """
import csv, sys, time
begun, busy = time.perf_counter(), time.process_time()
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
begun, busy = time.perf_counter(), time.process_time()
found = 0
for part in pd.read_csv(sys.argv[1], dtype=str, chunksize=500_000):
    found += int((part["LabelName"].isin(sys.argv[2:]) & part["ImageID"].str.startswith("f")).sum())
"""
END = """
import json
seconds, busy = time.perf_counter() - begun, time.process_time() - busy
# The largest resident size; getrusage would count the process that started this one.
kilobytes = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"found": found, "seconds": seconds, "busy": busy, "megabytes": kilobytes / 1024}))
"""


def generate(path: Path, kind: str) -> None:
    """A list of random rows, the classes as uneven as real ones."""
    names = (sample.folder() / "class-descriptions-boxable.csv").read_text().splitlines()
    mids = [line.split(",")[0] for line in names]
    rng = np.random.default_rng(0)
    often = 1 / np.arange(1, len(mids) + 1) ** 1.1
    with path.open("w") as stream:
        stream.write(HEADERS[kind] + "\n")
        for start in range(0, ROWS[kind], 100_000):
            count = min(100_000, ROWS[kind] - start)
            ids = (rng.integers(0, 2**63, count, dtype=np.uint64) * 2 + 1).tolist()
            labels = rng.choice(len(mids), count, p=often / often.sum()).tolist()
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
    """Run one reader."""
    done = subprocess.run(
        [python, "-c", program + END, str(path), *CLASSES], check=True, capture_output=True, text=True
    )
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def main() -> None:
    """Generate what is missing, run the readers in turn, print the ratios."""
    parser = argparse.ArgumentParser(description="Filtering long tables, measured.")
    parser.add_argument("folder", type=Path, nargs="?", default=Path(tempfile.gettempdir()) / "clothseg-tables")
    parser.add_argument("--with", dest="other", help="a Python interpreter that has pandas")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    readers = {"ours": (sys.executable, OURS), "csv": (sys.executable, CSV)}
    if given.other:
        readers["pandas"] = (given.other, PANDAS)
    for kind in ROWS:
        path = given.folder / f"{kind}.csv"
        if not path.exists():
            generate(path, kind)
        runs = [{name: measure(*reader, path) for name, reader in readers.items()} for _ in range(3)]
        best = {name: min(run[name]["seconds"] for run in runs) for name in readers}
        assert len({run[name]["found"] for run in runs for name in readers}) == 1
        print(f"{kind}: {path.stat().st_size / 1e6:.0f} MB, {runs[0]['ours']['found']:.0f} rows found")
        for name in readers:
            memory = max(run[name]["megabytes"] for run in runs)
            busy = min(run[name]["busy"] for run in runs)
            ratio = best[name] / best["ours"]
            print(f"  {name}: {best[name]:.2f} s ({busy:.2f} s busy), {memory:.0f} MB, {ratio:.1f} x the time of ours")


if __name__ == "__main__":
    main()
