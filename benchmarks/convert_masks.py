"""How many masks does a core convert in a second, where does the time go, and what do more processes bring?

    python benchmarks/convert_masks.py [SOURCE] [--times 4]

SOURCE's photos and masks (those of the sample by default) are converted several times under other ids, so that there is
enough to do. A process needs some seconds to start, which the first line of each pair shows.
"""

import argparse
import csv
import os
import shutil
import tempfile
import zipfile
from pathlib import Path

from clothseg import sample
from clothseg.openimages import BuildOptions, build_dataset, class_file, read_classes


def multiply(source: Path, out: Path, times: int) -> None:
    """Copies of the train split under other ids, masks loose."""
    out.mkdir()
    shutil.copy(class_file(source), out)
    for folder in ("train", "train-masks"):
        (out / folder).mkdir()

    def other(image_id: str, copy: int) -> str:
        return f"{(int(image_id, 16) + copy * 0x0101010101010101) % 2**64:016x}"

    for photo in (source / "train").glob("*.jpg"):
        for copy in range(times):
            shutil.copy(photo, out / "train" / f"{other(photo.stem, copy)}.jpg")
    for path in (source / "train-masks").glob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                for copy in range(times):
                    (out / "train-masks" / (other(name[:16], copy) + name[16:])).write_bytes(archive.read(name))
    for table in source.glob("train-*.csv"):
        with table.open(newline="") as stream, (out / table.name).open("w", newline="") as written:
            rows = csv.DictReader(stream)
            writer = csv.DictWriter(written, rows.fieldnames or [])
            writer.writeheader()
            for row in rows:
                for copy in range(times):
                    image_id = other(row["ImageID"], copy)
                    mask = {"MaskPath": image_id + row["MaskPath"][16:]} if "MaskPath" in row else {}
                    writer.writerow(row | {"ImageID": image_id} | mask)


def main() -> None:
    """Build with one process and with all cores."""
    parser = argparse.ArgumentParser(description="Mask conversion, measured.")
    parser.add_argument("source", type=Path, nargs="?", default=sample.folder())
    parser.add_argument("--times", type=int, default=4)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        many = Path(folder) / "many"
        multiply(given.source, many, given.times)
        names = [c.name for c in read_classes(class_file(many))]
        for workers in (1, os.cpu_count() or 1):
            out = Path(folder) / f"out{workers}"
            speed = build_dataset(many, out, names, BuildOptions(val_fraction=0.1, workers=workers)).speed
            shares = ", ".join(f"{kind} {share:.0%}" for kind, share in speed.shares().items())
            print(f"{speed.workers} process(es): {speed.masks} masks in {speed.seconds:.1f} s: {shares}")
            print(f"  {speed.masks_per_second_and_core:.0f} masks/s and core, photos and hashes included")


if __name__ == "__main__":
    main()
