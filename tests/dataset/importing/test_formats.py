"""Which format a folder has, and the layouts of each."""

import json
import zipfile
from pathlib import Path
from typing import Any, get_args

import cvat_exports
import label_files
import numpy as np
import pytest
from label_files import objects_of, png, write_photo
from numpy.typing import NDArray

from clothseg.dataset.importing import READERS, SourceFormat, detect, import_dataset, open_source
from clothseg.errors import DataError

SIZE = (30, 40)
MASK = np.zeros(SIZE, dtype=bool)
MASK[4:20, 5:25] = True
LINE = "0 0.25 0.25 0.75 0.25 0.75 0.75\n"


def yolo_photo(root: Path, photo: str, labels: str, seed: int) -> None:
    write_photo(root / photo, SIZE, seed=seed)
    (root / labels).parent.mkdir(parents=True, exist_ok=True)
    (root / labels).write_text(LINE)


YOLO = {
    "images/SPLIT, names as dict": (
        "images/{s}/{n}.jpg", "labels/{s}/{n}.txt", "path: .\ntrain: images/train\nval: images/val\nnames: {0: a}\n",
    ),
    "Roboflow": (
        "{s}/images/{n}.jpg", "{s}/labels/{n}.txt", "train: ../train/images\nval: ../valid/images\nnames: [a]\n",
    ),
    "list of folders": (
        "images/{s}/{n}.jpg", "labels/{s}/{n}.txt", "train: [images/train]\nval: [images/val]\nnames: [Dress]\n",
    ),
    "text file": ("images/{s}/{n}.jpg", "labels/{s}/{n}.txt", "train: train.txt\nval: val.txt\nnames: [Dress]\n"),
    "backslashes": ("images/{s}/{n}.jpg", "labels/{s}/{n}.txt", "train: images\\train\nval: images\\val\nnames: [a]\n"),
    "beside the photos": ("{s}/{n}.jpg", "{s}/{n}.txt", "train: train\nval: val\nnames: [Dress]\n"),
    "no data.yaml": ("images/{s}/{n}.jpg", "labels/{s}/{n}.txt", None),
}  # fmt: skip


@pytest.mark.parametrize("layout", YOLO)
def test_layouts_of_yolo(layout: str, tmp_path: Path) -> None:
    photo, labels, config = YOLO[layout]
    for seed, (split, name) in enumerate([("train", "a"), ("train", "b"), ("val", "c")]):
        folder = "valid" if layout == "Roboflow" and split == "val" else split
        yolo_photo(tmp_path, photo.format(s=folder, n=name), labels.format(s=folder, n=name), seed)
        with (tmp_path / f"{split}.txt").open("a") as stream:
            stream.write(f"./{photo.format(s=folder, n=name)}\n")
    if config is None:
        (tmp_path / "classes.txt").write_text("Dress\n")
    else:
        (tmp_path / "data.yaml").write_text(config)
    if layout != "text file":
        for split in ("train", "val"):
            (tmp_path / f"{split}.txt").unlink()
    assert detect(tmp_path) == "yolo"
    summary = import_dataset(tmp_path, tmp_path / "out")
    assert {split: counts.photos for split, counts in summary.splits.items()} == {"train": 2, "val": 1}
    assert {stem: len(rows) for stem, rows in objects_of(tmp_path / "out").items()} == {"a": 1, "b": 1, "c": 1}


def test_a_test_set_stays_apart(tmp_path: Path) -> None:
    for seed, split in enumerate(("train", "val", "test")):
        yolo_photo(tmp_path, f"images/{split}/{split}.jpg", f"labels/{split}/{split}.txt", seed)
    (tmp_path / "classes.txt").write_text("Dress\n")
    summary = import_dataset(tmp_path, tmp_path / "out")
    assert {split: counts.photos for split, counts in summary.splits.items()} == {"train": 1, "val": 1, "test": 1}


MASK_FILES = {
    "object files": ["masks/{n}_Dress.png"],
    "numbered": ["masks/{n}-Dress-1.png", "masks/{n}-Jeans-2.png"],
    "class folders": ["masks/Dress/{n}.png", "masks/Jeans/{n}_02.png"],
    "photo folders": ["masks/{n}/Dress.png", "masks/{n}/Jeans_2.png"],
    "class of two words": ["masks/{n}_Evening dress_1.png"],
}


@pytest.mark.parametrize("layout", MASK_FILES)
@pytest.mark.parametrize("listed", [False, True])
def test_names_of_mask_files(layout: str, listed: bool, tmp_path: Path) -> None:
    names = ["Dress", "Jeans", "Evening dress"]
    for seed, stem in enumerate(("street", "street_2")):  # one name begins the other
        write_photo(tmp_path / "images" / f"{stem}.jpg", SIZE, seed=seed)
        for name in MASK_FILES[layout]:
            path = tmp_path / name.format(n=stem)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(MASK.astype(np.uint8)))
    if listed:
        (tmp_path / "classes.txt").write_text("\n".join(names))
    assert detect(tmp_path) == "masks"
    assert import_dataset(tmp_path, tmp_path / "out").failed == ()
    found = objects_of(tmp_path / "out")
    want = sorted(next(name for name in reversed(names) if name in file) for file in MASK_FILES[layout])
    assert {stem: sorted(name for name, _ in rows) for stem, rows in found.items()} == dict.fromkeys(
        ("street", "street_2"), want
    )
    assert {pixels for rows in found.values() for _, pixels in rows} == {MASK.tobytes()}


def test_label_maps_of_classes(tmp_path: Path) -> None:
    """Connected regions are objects; 255 is ignored; 16 bits have class * 1000 + object."""
    labels = np.zeros(SIZE, dtype=np.uint8)
    labels[2:5, 2:5], labels[10:14, 10:14], labels[14:16, 14:16], labels[20:25, 20:25], labels[28] = 1, 1, 1, 2, 255
    coded = np.zeros(SIZE, dtype=np.uint16)
    coded[2:5, 2:5], coded[20:25, 20:25], coded[8:9, 8:9] = 1001, 1001, 2001
    (tmp_path / "masks").mkdir()
    (tmp_path / "classes.txt").write_text("background\nDress\nJeans\n")
    maps: dict[str, NDArray[Any]] = {"a": labels, "b": coded}
    for seed, (stem, values) in enumerate(maps.items()):
        write_photo(tmp_path / "images" / f"{stem}.jpg", SIZE, seed=seed)
        (tmp_path / "masks" / f"{stem}.png").write_bytes(png(values))
    assert import_dataset(tmp_path, tmp_path / "out").failed == ()
    found = objects_of(tmp_path / "out")
    first, second = np.zeros((2, *SIZE), dtype=bool)
    first[2:5, 2:5] = second[10:14, 10:14] = second[14:16, 14:16] = True
    regions = [("Dress", first.tobytes()), ("Dress", second.tobytes()), ("Jeans", (labels == 2).tobytes())]
    assert found["a"] == sorted(regions)
    assert found["b"] == sorted([("Dress", (coded == 1001).tobytes()), ("Jeans", (coded == 2001).tobytes())])


def test_formats_are_recognized(tmp_path: Path) -> None:
    truth = {"a": [("Dress", MASK)], "b": [("Jeans", MASK)]}
    writers = {
        "labelme": label_files.write_labelme, "supervisely": label_files.write_supervisely,
        "cvat-xml": label_files.write_cvat, "masks": label_files.write_masks, "voc": label_files.write_voc,
    }  # fmt: skip
    for form, write in writers.items():
        write(tmp_path / form, truth)
        assert detect(tmp_path / form) == form
    assert detect(tmp_path / "cvat-xml" / "annotations.xml") == "cvat-xml"
    assert detect(tmp_path / "labelme" / "a.json") == "labelme"
    for form, write_export in (
        ("labelme-xml", cvat_exports.write_labelme_3),
        ("datumaro", cvat_exports.write_datumaro),
    ):
        write_export(tmp_path / form)
        assert detect(tmp_path / form) == form
    assert detect(tmp_path / "datumaro" / "annotations" / "default.json") == "datumaro"
    assert {*writers, "labelme-xml", "datumaro", "yolo", "voc-boxes"} == set(READERS)
    assert set(READERS) == set(get_args(SourceFormat)) - {"auto"}


def test_what_is_no_label_format_says_what_is_there(tmp_path: Path) -> None:
    write_photo(tmp_path / "photos" / "a.jpg", SIZE)
    (tmp_path / "photos" / "table.csv").touch()
    with pytest.raises(DataError, match=r"no labels of a known format. It has 1 files .*\.jpg"):
        open_source(tmp_path / "photos")
    (tmp_path / "coco.json").write_text(json.dumps({"images": [], "annotations": [], "categories": []}))
    with pytest.raises(DataError, match="COCO already"):
        open_source(tmp_path / "coco.json")
    with pytest.raises(DataError, match="no such file or folder"):
        open_source(tmp_path / "nope")
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("a.txt", "")
    with pytest.raises(DataError, match="unpack it"):
        open_source(tmp_path / "export.zip")
    for form in READERS:
        with pytest.raises(DataError, match=str(tmp_path / "photos")):
            open_source(tmp_path / "photos", form)
    (tmp_path / "video.xml").write_text("<annotations><track id='0'/></annotations>")
    with pytest.raises(DataError, match=r"CVAT for images 1\.1"):
        open_source(tmp_path / "video.xml")
