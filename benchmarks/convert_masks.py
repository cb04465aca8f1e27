"""Measures the mask conversion of `dataset build`: masks per second and core, and the gain from more processes.

    python benchmarks/convert_masks.py [SOURCE] [--times 20] [--record]

Copies the photos and masks of SOURCE (default: the sample) several times under new ids, and builds a dataset from
them: with one process, then with one per core (a build of fewer than 1,500 photos uses one process). The times include
reading and hashing the photos. A minute or two by default.
"""

import argparse
import csv
import shutil
import tempfile
import zipfile
from pathlib import Path

from bench_tools import add_record_options, record
from clothseg import sample
from clothseg.cores import usable_cores
from clothseg.openimages import BuildOptions, build_dataset, class_file, read_classes

MASKS_OF_TRAIN = 2_690_000  # in Open Images V7


def copy_split(source: Path, out: Path, copies: int) -> None:
    """Writes `copies` copies of the train split under new ids, with masks as single files."""
    out.mkdir()
    shutil.copy(class_file(source), out)
    for folder in ("train", "train-masks"):
        (out / folder).mkdir()

    def new_id(image_id: str, copy: int) -> str:
        return f"{(int(image_id, 16) + copy * 0x0101010101010101) % 2**64:016x}"

    for photo in (source / "train").glob("*.jpg"):
        for copy in range(copies):
            shutil.copy(photo, out / "train" / f"{new_id(photo.stem, copy)}.jpg")
    for path in (source / "train-masks").glob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                for copy in range(copies):
                    (out / "train-masks" / (new_id(name[:16], copy) + name[16:])).write_bytes(archive.read(name))
    for table in source.glob("train-*.csv"):
        with table.open(newline="") as stream, (out / table.name).open("w", newline="") as written:
            rows = csv.DictReader(stream)
            writer = csv.DictWriter(written, rows.fieldnames or [])
            writer.writeheader()
            for row in rows:
                for copy in range(copies):
                    image_id = new_id(row["ImageID"], copy)
                    mask = {"MaskPath": image_id + row["MaskPath"][16:]} if "MaskPath" in row else {}
                    writer.writerow(row | {"ImageID": image_id} | mask)


def main() -> None:
    """Builds with one process and with all cores, and prints the speed of both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, nargs="?", default=sample.folder(), help="folder of Open Images files")
    parser.add_argument("--times", type=int, default=20, help="how often each photo is copied")
    add_record_options(parser)
    options = parser.parse_args()
    rates: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(folder) / "source"
        copy_split(options.source, copied, options.times)
        names = [c.name for c in read_classes(class_file(copied))]
        for workers in (1, usable_cores()):
            out = Path(folder) / f"out{workers}"
            speed = build_dataset(copied, out, names, BuildOptions(val_fraction=0.1, workers=workers)).speed
            rates.append(speed.masks / speed.seconds)
            print(
                f"{speed.workers} process(es): {speed.masks} masks in {speed.seconds:.1f} s, {rates[-1]:.0f} masks/s, "
                f"{speed.masks_per_second_and_core:.0f} per core"
            )
            print("  " + ", ".join(f"{kind} {share:.0%}" for kind, share in speed.shares().items()))
            name = f"{speed.workers} process{'es' if speed.workers > 1 else ''}, photos and hashes included"
            record(options, name, f"{rates[-1]:.0f}", "masks/s", f"{speed.masks:,} masks")
            for kind, share in speed.shares().items() if workers == 1 else ():
                record(options, f"part of the time: {kind}", f"{share:.0%}".removesuffix("%"), "%")
    if speed.workers > 1:
        print(f"{speed.workers} processes are {rates[1] / rates[0]:.2f} times as fast as one")
        record(options, f"{speed.workers} processes: speed-up over one", rates[1] / rates[0], "times")
    else:
        print("too few photos for a second process: choose a larger --times")
    print(f"all {MASKS_OF_TRAIN:,} masks of train would take one core {MASKS_OF_TRAIN / rates[0] / 3600:.1f} h")


if __name__ == "__main__":
    main()
