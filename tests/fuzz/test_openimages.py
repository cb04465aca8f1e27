"""Broken files of Open Images: the class tree, the tables, and the archives of masks."""

import io
import json
import random
import zipfile
from importlib import resources
from pathlib import Path

from fuzzing import Fuzz, spoil_bytes, spoil_json

from clothseg.openimages.archives import MaskArchive
from clothseg.openimages.classes import read_classes
from clothseg.openimages.hierarchy import read_hierarchy
from clothseg.openimages.tables import read_boxes, read_credits, read_masks

SAMPLE = Path(str(resources.files("clothseg"))) / "sample"
TREE = json.loads((SAMPLE / "bbox_labels_600_hierarchy.json").read_text())
CELLS = (
    "",
    '"',
    '""',
    '"a\nb"',
    "\x00",
    "\r",
    "\t",
    "nan",
    "1e999",
    "-1",
    "é",
    "\ufeff",
    "a" * 70_000,
    "/m/0",
    ",",
    "'",
    "#",
)


def table(name: str, rng: random.Random) -> bytes:
    rows = (SAMPLE / name).read_text().splitlines()[:20]
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(len(rows)) if rng.random() < 0.7 else 0
        cells = rows[place].split(",")
        position = rng.randrange(len(cells))
        kind = rng.randrange(7)
        if kind == 0:
            cells[position] = rng.choice(CELLS)
        elif kind == 1:
            cells[position] = cells[rng.randrange(len(cells))]
        elif kind == 2:
            del cells[position]
        elif kind == 3:
            cells.append(rng.choice(CELLS))
        elif kind == 4:
            cells[position] += rng.choice(CELLS)
        elif kind == 5:
            cells = []
        else:
            rows[place:place] = [rows[place]] * 2
        rows[min(place, len(rows) - 1)] = ",".join(cells)
    end = rng.choice(["\n", "\n", "\r\n", "\r"])
    data = (end.join(rows) + end * rng.randint(0, 2)).encode(rng.choice(["utf-8", "utf-8", "utf-16", "utf-8-sig"]))
    return spoil_bytes(data, rng) if rng.random() < 0.3 else data


def test_class_tree(fuzz: Fuzz) -> None:
    small = {"LabelName": "/m/0bl9f", "Subcategory": [n for n in TREE["Subcategory"] if "Subcategory" in n][:4]}

    def read(path: Path) -> None:
        hierarchy = read_hierarchy(path)
        hierarchy.tree(hierarchy.root)

    fuzz(lambda rng: spoil_json(small, rng), read, name="tree.json")


def test_class_names(fuzz: Fuzz) -> None:
    fuzz(lambda rng: table("class-descriptions-boxable.csv", rng), read_classes, name="classes.csv")


def test_lists_of_masks(fuzz: Fuzz) -> None:
    name = "train-annotations-object-segmentation.csv"
    fuzz(
        lambda rng: table(name, rng), lambda path: list(read_masks(path, ["/m/01xyhv", "/m/01d40f"])), name="masks.csv"
    )


def test_lists_of_boxes(fuzz: Fuzz) -> None:
    fuzz(
        lambda rng: table("train-annotations-bbox.csv", rng),
        lambda path: list(read_boxes(path, None)),
        name="boxes.csv",
    )


def test_lists_of_photos(fuzz: Fuzz) -> None:
    name = "train-images-boxable-with-rotation.csv"
    ids = [row.partition(",")[0] for row in (SAMPLE / name).read_text().splitlines()[1:20]]
    fuzz(lambda rng: table(name, rng), lambda path: read_credits(path, ids), name="photos.csv")


def archive(rng: random.Random) -> bytes:
    stream = io.BytesIO()
    methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    with zipfile.ZipFile(stream, "w", rng.choice(methods)) as file:
        for name in ("0123.png", "0456.png", rng.choice(["..", "", "/", "a\\b.png", "x/", "é.png", "0123.png/"])):
            if name or rng.random() < 0.5:
                file.writestr(name or "empty", rng.randbytes(rng.randint(0, 300)) + bytes(rng.randint(0, 2000)))
    data = stream.getvalue()
    if rng.random() < 0.3:
        data = data.replace(b"empty", b"\x00\x00\x00\x00\x00")
    if rng.random() < 0.2:
        for mark, skip in ((b"PK\x01\x02", 10), (b"PK\x03\x04", 8)):
            place = data.find(mark) + skip
            data = data[:place] + bytes([rng.choice([1, 9, 12, 14, 20, 93, 99]), 0]) + data[place + 2 :]
    return spoil_bytes(data, rng) if rng.random() < 0.7 else data


def test_archives_of_masks(fuzz: Fuzz) -> None:
    def read(path: Path) -> None:
        with MaskArchive(path.parent, "train") as masks:
            masks.unnamed("0", [])
            masks.read("0123.png")
            masks.read("0456.png")

    fuzz(archive, read, name="train-masks-0.zip")
