"""Cuts the sample in `src/clothseg/sample` out of a folder of Open Images files.

    python scripts/cut_sample.py SOURCE [OUT]

The result depends only on the source and on Pillow's JPEG encoder. `__init__.py` and `README.md` in OUT are kept.
"""

import argparse
import csv
import io
import shutil
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

from PIL import Image

SUIT, DRESS, JEANS = "/m/01xyhv", "/m/01d40f", "/m/0fly7"
SPLITS = ("train", "validation")
COPIED_FILES = (
    "class-descriptions-boxable.csv",
    "classes-segmentation.txt",
    "bbox_labels_600_hierarchy.json",
    "LICENSE.ccp",
)
# Photos with a mask of each class; "boxes_without_mask": with a box of one of them, but no mask; "none": with neither.
QUOTA = {
    "train": {SUIT: 40, JEANS: 36, DRESS: 36, "boxes_without_mask": 2, "none": 4},
    "validation": {SUIT: 9, JEANS: 8, DRESS: 25, "boxes_without_mask": 0, "none": 2},
}
PHOTOS = {"train": 100, "validation": 25}
WIDTH = 367
QUALITY = 74
TIMESTAMP = (2019, 5, 8, 0, 0, 0)

Rows = list[dict[str, str]]


def read_table(path: Path) -> tuple[list[str], Rows]:
    """Reads the header and the rows of a table."""
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        return list(reader.fieldnames or []), list(reader)


def classes_by_image(rows: Rows) -> dict[str, set[str]]:
    """The class ids on each photo, by image id."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        found[row["ImageID"]].add(row["LabelName"])
    return found


def choose(split: str, photos: Iterable[str], masks: Rows, boxes: Rows) -> set[str]:
    """Chooses the image ids of the sample: photos with several of the three classes first, then in the order of ids."""
    garments = {SUIT, DRESS, JEANS}
    masked, boxed = classes_by_image(masks), classes_by_image(boxes)
    order = sorted(photos, key=lambda i: (-len(masked[i] & garments), i))
    quota = QUOTA[split]
    chosen: set[str] = set()

    def take(count: int, fits: Callable[[str], bool]) -> None:
        remaining = PHOTOS[split] - len(chosen)
        chosen.update([i for i in order if i not in chosen and fits(i)][: min(count, remaining)])

    take(quota["none"], lambda i: not boxed[i] & garments)
    take(quota["boxes_without_mask"], lambda i: bool(boxed[i] & garments) and not masked[i] & garments)
    for class_id in (SUIT, JEANS, DRESS):
        taken = sum(class_id in masked[i] for i in chosen)
        take(quota[class_id] - taken, lambda i, mid=class_id: mid in masked[i])  # type: ignore[misc]
    return chosen


def cut_table(source: Path, out: Path, chosen: set[str]) -> None:
    """Copies the rows of the chosen photos, unchanged and in the same order."""
    header, rows = read_table(source)
    with out.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, header, lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for row in rows if row["ImageID"] in chosen)


def cut_photo(source: Path, out: Path) -> None:
    """Writes the photo at a width of `WIDTH` pixels."""
    with Image.open(source) as photo:
        height = round(photo.height * WIDTH / photo.width)
        small = photo.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, format="JPEG", quality=QUALITY, optimize=True, progressive=True)
    out.write_bytes(buffer.getvalue())


def cut_masks(source: Path, out: Path, split: str, chosen: set[str]) -> None:
    """Writes a zip for each partition of the chosen photos. The PNGs are unchanged, and stored without compression."""
    out.mkdir(parents=True)
    for partition in sorted({i[0] for i in chosen}):
        name = f"{split}-masks-{partition}.zip"
        with zipfile.ZipFile(source / name) as old:
            members = sorted(n for n in old.namelist() if n[:16] in chosen)
            if not members:
                continue
            with zipfile.ZipFile(out / name, "w", zipfile.ZIP_STORED) as new:
                for member in members:
                    entry = zipfile.ZipInfo(member, date_time=TIMESTAMP)
                    entry.create_system, entry.external_attr = 3, 0o644 << 16
                    new.writestr(entry, old.read(member))


def cut(source: Path, out: Path) -> None:
    """Writes the sample and replaces an older one."""
    out.mkdir(parents=True, exist_ok=True)
    for name in COPIED_FILES:
        shutil.copyfile(source / name, out / name)
    for split in SPLITS:
        photos = [p.stem for p in (source / split).glob("*.jpg")]
        masks = read_table(source / f"{split}-annotations-object-segmentation.csv")[1]
        boxes = read_table(source / f"{split}-annotations-bbox.csv")[1]
        chosen = choose(split, photos, masks, boxes)
        for table in sorted(source.glob(f"{split}-*.csv")):
            cut_table(table, out / table.name, chosen)
        for folder in (out / split, out / f"{split}-masks"):
            shutil.rmtree(folder, ignore_errors=True)
        (out / split).mkdir()
        for image_id in sorted(chosen):
            cut_photo(source / split / f"{image_id}.jpg", out / split / f"{image_id}.jpg")
        cut_masks(source / f"{split}-masks", out / f"{split}-masks", split, chosen)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="folder of Open Images files")
    default = Path(__file__).resolve().parent.parent / "src" / "clothseg" / "sample"
    parser.add_argument("out", type=Path, nargs="?", default=default, help="folder to write")
    options = parser.parse_args()
    cut(options.source, options.out)


if __name__ == "__main__":
    main()
