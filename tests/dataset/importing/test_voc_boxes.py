"""Pascal VOC files with boxes, as the development kit, labelImg and Roboflow lay them out."""

import json
from pathlib import Path
from typing import Any

import pytest
from label_files import write_photo

from clothseg.dataset.importing import ImportOptions, detect, import_dataset
from clothseg.errors import DataError

SIZE = (40, 60)


def xml(name: str, *objects: tuple[str, str, str, str, str]) -> str:
    rows = "".join(
        f"<object><name>{label}</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"
        "</bndbox></object>"
        for label, x1, y1, x2, y2 in objects
    )
    size = f"<size><width>{SIZE[1]}</width><height>{SIZE[0]}</height><depth>3</depth></size>"
    return f"<annotation><filename>{name}</filename>{size}{rows}</annotation>"


def boxes(out: Path, split: str) -> list[Any]:
    tree = json.loads((out / "annotations" / f"{split}.json").read_text())
    names = {row["id"]: row["source_name"] for row in tree["images"]}
    assert all(row["segmentation"] == [] for row in tree["annotations"])
    return [(names[row["image_id"]], row["bbox"]) for row in tree["annotations"]]


def test_the_layout_of_the_development_kit(tmp_path: Path) -> None:
    """Whole numbers count from 1 to the last pixel; numbers with a point are coordinates; lists give the split."""
    root = tmp_path / "VOC"
    for folder in ("Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    found = {"a": ("Dress", "1", "1", "60", "40"), "b": ("Jeans", "10.0", "5.0", "20.0", "30.0")}
    for seed, (stem, row) in enumerate(found.items()):
        write_photo(root / "JPEGImages" / f"{stem}.jpg", SIZE, seed=seed)
        (root / "Annotations" / f"{stem}.xml").write_text(xml(f"{stem}.jpg", row))
    (root / "ImageSets" / "Main" / "train.txt").write_text("a\n")
    (root / "ImageSets" / "Main" / "val.txt").write_text("b\n")
    assert detect(root) == "voc-boxes"
    summary = import_dataset(root, tmp_path / "out")
    assert summary.reasons() == {} and summary.classes == ("Dress", "Jeans")
    assert boxes(tmp_path / "out", "train") == [("JPEGImages/a.jpg", [0, 0, 60, 40])]
    assert boxes(tmp_path / "out", "val") == [("JPEGImages/b.jpg", [10, 5, 10, 25])]
    filled = import_dataset(root, tmp_path / "filled", ImportOptions(boxes_as_masks=True))
    assert (filled.splits["train"].masks, filled.splits["train"].boxes) == (1, 0)


def test_files_beside_photos_in_folders_of_splits_with_faults(tmp_path: Path) -> None:
    for seed, (split, stem) in enumerate((("train", "a"), ("train", "b"), ("valid", "c"))):
        write_photo(tmp_path / "in" / split / f"{stem}.jpg", SIZE, seed=seed)
    row = ("Dress", "5", "5", "20", "30")
    (tmp_path / "in" / "train" / "a.xml").write_text(xml("a.jpg", row, ("Dress", "5", "x", "20", "30")))
    (tmp_path / "in" / "valid" / "c.xml").write_text(xml("c.jpg", row))
    (tmp_path / "in" / "valid" / "gone.xml").write_text(xml("gone.jpg", row))
    summary = import_dataset(tmp_path / "in", tmp_path / "out")
    assert summary.reasons() == {"missing_photo": 1, "broken_shape": 1, "not_labelled": 1}
    assert boxes(tmp_path / "out", "train") == [("train/a.jpg", [4, 4, 16, 26])]
    assert boxes(tmp_path / "out", "val") == [("valid/c.jpg", [4, 4, 16, 26])]


def test_photos_of_one_name_in_folders_that_both_trees_have(tmp_path: Path) -> None:
    """labelImg writes the bare name of the photo; the folder of the XML file says which one it is."""
    root = tmp_path / "in"
    for seed, folder in enumerate(("shop/a", "shop/b", "home")):
        write_photo(root / "JPEGImages" / folder / "1.jpg", SIZE, seed=seed)
        (root / "Annotations" / folder).mkdir(parents=True)
        row = ("Dress", "1", "1", str(10 + seed), "40")
        (root / "Annotations" / folder / "1.xml").write_text(xml("1.jpg", row))
    (root / "Annotations" / "1.xml").write_text(xml("1.jpg", row))
    summary = import_dataset(root, tmp_path / "out")
    assert summary.reasons() == {"missing_photo": 1}, "no folder says which photo is that of Annotations/1.xml"
    found = dict(boxes(tmp_path / "out", "train") + boxes(tmp_path / "out", "val"))
    assert {name: box[2] for name, box in found.items()} == {
        "JPEGImages/shop/a/1.jpg": 10,
        "JPEGImages/shop/b/1.jpg": 11,
        "JPEGImages/home/1.jpg": 12,
    }


def test_a_folder_without_such_files(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text("<annotations/>")
    with pytest.raises(DataError, match="no XML file of Pascal VOC"):
        import_dataset(tmp_path, tmp_path / "out", ImportOptions(format="voc-boxes"))
