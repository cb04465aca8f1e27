"""Broken labels: each is named with its file and shape, the rest of the dataset is imported."""

import base64
import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import label_files
import numpy as np
import pytest
from fuzzing import bomb
from label_files import objects_of, png, write_labelme_file, write_photo

from clothseg.dataset import CocoLikeDataset
from clothseg.dataset.importing import ImportOptions, ImportSummary, import_dataset
from clothseg.errors import DataError

SIZE = (30, 40)
MASK = np.zeros(SIZE, dtype=bool)
MASK[4:20, 5:25] = True
TRUTH = {"a": [("Dress", MASK)], "b": [("Jeans", MASK)], "c": [("Dress", MASK)]}


def write_yolo(root: Path) -> None:
    (root / "labels").mkdir(parents=True)
    (root / "classes.txt").write_text("Dress\nJeans\n")
    for seed, stem in enumerate("abc"):
        write_photo(root / "images" / f"{stem}.jpg", SIZE, seed=seed)
        (root / "labels" / f"{stem}.txt").write_text("0 0.1 0.1 0.9 0.1 0.9 0.9\n")


def imported(root: Path, **options: Any) -> ImportSummary:
    return import_dataset(root, root.parent / "out", ImportOptions(**options))


def only(summary: ImportSummary) -> tuple[str, str]:
    """Reason and text of the only fault; the other two photos are in the dataset."""
    assert len(summary.failed) == 1, summary.failed
    assert len(summary.failed[0].text()) < 1000
    return summary.failed[0].reason, summary.failed[0].text()


YOLO_LINES = {
    "0 0.1 0.1 0.9": ("broken_shape", "line 2.*3 numbers after the class"),
    "0 0.1 0.1 0.9 0.1 0.9 0.9 0.5": ("broken_shape", "line 2.*7 numbers"),
    "5 0.1 0.1 0.9 0.1 0.9 0.9": ("unknown_class", "line 2 5.*numbers 0 to 1"),
    "0.5 0.1 0.1 0.9 0.1 0.9 0.9": ("unknown_class", "line 2"),
    "Dress 0.1 0.1 0.9 0.1 0.9 0.9": ("broken_shape", "line 2.*'Dress'"),
    "0 0.1 0.1 nan 0.1 0.9 0.9": ("broken_shape", "line 2.*'nan'"),
    "0 12 10 30 10 30 20": ("broken_shape", "line 2.*not a fraction"),
    "0": ("broken_shape", "line 2.*0 numbers"),
}


@pytest.mark.parametrize("line", YOLO_LINES)
def test_a_broken_line_of_yolo(line: str, tmp_path: Path) -> None:
    write_yolo(tmp_path / "in")
    with (tmp_path / "in" / "labels" / "b.txt").open("a") as stream:
        stream.write(f"{line}\n")
    reason, text = only(imported(tmp_path / "in"))
    assert (reason, bool(re.search(YOLO_LINES[line][1], text))) == (YOLO_LINES[line][0], True), text
    assert {stem: len(found) for stem, found in objects_of(tmp_path / "out").items()} == {"a": 1, "b": 1, "c": 1}


def boxes_of(file: Path) -> dict[str, list[Any]]:
    """Segmentation, box and area of the objects without a mask, by the name of their photo."""
    tree = json.loads(file.read_text())
    names = {row["id"]: row["file_name"] for row in tree["images"]}
    found: dict[str, list[Any]] = {}
    for row in tree["annotations"]:
        if not row["segmentation"]:
            found.setdefault(names[row["image_id"]], []).append((row["segmentation"], row["bbox"], row["area"]))
    return found


def test_boxes_of_yolo_have_no_outline(tmp_path: Path) -> None:
    write_yolo(tmp_path / "in")
    (tmp_path / "in" / "labels" / "b.txt").write_text("1 0.5 0.5 0.5 0.5\n")
    summary = imported(tmp_path / "in")
    assert summary.reasons() == {}
    tree = {k: v for s in ("train", "val") for k, v in boxes_of(tmp_path / "out" / "annotations" / f"{s}.json").items()}
    assert tree["b.jpg"] == [([], [10, 8, 20, 15], 300)]
    assert sum(counts.boxes for counts in summary.splits.values()) == 1
    assert ("Jeans", 1) in [(n, c) for s in summary.splits.values() for n, c in s.class_boxes.items() if c]
    box = np.zeros(SIZE, dtype=bool)
    box[7:22, 10:30] = True  # 7.5 to 22.5: COCO rounds .5 rows up
    filled = import_dataset(tmp_path / "in", tmp_path / "filled", ImportOptions(boxes_as_masks=True))
    assert filled.failed == ()
    assert np.frombuffer(objects_of(tmp_path / "filled")["b"][0][1], dtype=bool).sum() in range(280, 321)


LABELME_SHAPES: dict[str, tuple[dict[str, Any], str]] = {
    "no points": ({"label": "Dress", "shape_type": "polygon"}, r"shapes\[1\].*points must be a list"),
    "two corners": ({"label": "Dress", "points": [[1, 1], [2, 2]]}, r"shapes\[1\].*3 or more corners"),
    "text": ({"label": "Dress", "points": [[1, 1], [2, "x"], [3, 3]]}, "'x', which is not a number"),
    "infinite": ({"label": "Dress", "points": [[1, 1], [2, float("inf")], [3, 3]]}, "points has inf"),
    "far": ({"label": "Dress", "points": [[1, 1], [2, 9e9], [3, 3]]}, "far outside"),
    "triples": ({"label": "Dress", "points": [[1, 1, 1]] * 3}, "another length"),
    "no label": ({"points": [[1, 1], [9, 1], [9, 9]]}, "label must be a text"),
    "unknown type": ({"label": "Dress", "points": [[1, 1]], "shape_type": "cube"}, "'cube' is unknown"),
    "list as type": ({"label": "Dress", "points": [[1, 1]], "shape_type": [["x"]]}, "shape_type must be a text"),
    "no mask": ({"label": "Dress", "points": [[1, 1], [2, 2]], "shape_type": "mask"}, "mask must be a text"),
    "no base64": ({"label": "Dress", "points": [[1, 1], [2, 2]], "shape_type": "mask", "mask": "?"}, "not base64"),
    "no PNG": ({"label": "a", "points": [[1, 1], [2, 2]], "shape_type": "mask", "mask": "aGVsbG8="}, "cannot be read"),
    "not an object": ("polygon", "must be an object"),  # type: ignore[dict-item]
}  # fmt: skip


@pytest.mark.parametrize("case", LABELME_SHAPES)
def test_a_broken_shape_of_labelme(case: str, tmp_path: Path) -> None:
    label_files.write_labelme(tmp_path / "in", TRUTH)
    path = tmp_path / "in" / "b.json"
    tree = json.loads(path.read_text())
    tree["shapes"].append(LABELME_SHAPES[case][0])
    path.write_text(json.dumps(tree))
    reason, text = only(imported(tmp_path / "in"))
    assert reason == "broken_shape"
    assert text.startswith("b.jpg shapes[1]")
    assert re.search(LABELME_SHAPES[case][1], text), text
    assert objects_of(tmp_path / "out") == label_files.expected(TRUTH)


def _change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def _sly(path: Path, row: object) -> None:
    _change(path, objects=[row])


BITMAP = {"classTitle": "Dress", "geometryType": "bitmap"}
BOMB = base64.b64encode(zlib.compress(b"\x89PNG" + bytes(1 << 27))).decode()
FILES: dict[str, tuple[str, str, Callable[[Path], object], str, str]] = {
    "labelme: JSON": ("labelme", "b.json", lambda p: p.write_text("{"), "broken_file", "b.json: cannot be read"),
    "labelme: deep": ("labelme", "b.json", lambda p: p.write_text("[" * 9999), "broken_file", "b.json"),
    "labelme: list": ("labelme", "b.json", lambda p: p.write_text("[]"), "broken_file", "must be an object"),
    "labelme: shapes": ("labelme", "b.json", lambda p: _change(p, shapes=3), "broken_file", "shapes must be a list"),
    "labelme: size": ("labelme", "b.json", lambda p: _change(p, imageHeight=99), "other_size", "30 x 40.*99 x 40"),
    "labelme: no photo": ("labelme", "b.jpg", lambda p: p.unlink(), "missing_photo", "imagePath is 'b.jpg'"),
    "labelme: photo": ("labelme", "b.jpg", lambda p: p.write_bytes(b"x"), "unreadable_photo", "b.jpg"),
    "supervisely: JSON": ("supervisely", "ds/ann/b.jpg.json", lambda p: p.write_text("{"), "broken_file", "b.jpg.json"),
    "supervisely: size": ("supervisely", "ds/ann/b.jpg.json", lambda p: _change(p, size=1), "broken_file", "size"),
    "supervisely: huge": (
        "supervisely", "ds/ann/b.jpg.json", lambda p: _change(p, size={"height": 10**9, "width": 10**9}),
        "broken_file", "limit",
    ),
    "supervisely: origin": (
        "supervisely", "ds/ann/b.jpg.json", lambda p: _sly(p, {**BITMAP, "bitmap": {"origin": [1]}}),
        "broken_shape", r"objects\[0\].*another length",
    ),
    "supervisely: data": (
        "supervisely", "ds/ann/b.jpg.json",
        lambda p: _sly(p, {**BITMAP, "bitmap": {"data": "aGVsbG8=", "origin": [1, 1]}}),
        "broken_shape", "bitmap.data cannot be read",
    ),
    "supervisely: bomb": (
        "supervisely", "ds/ann/b.jpg.json", lambda p: _sly(p, {**BITMAP, "bitmap": {"data": BOMB, "origin": [1, 1]}}),
        "broken_shape", "bitmap.data cannot be read",
    ),
    "supervisely: kind": ("supervisely", "ds/ann/b.jpg.json", lambda p: _sly(p, BITMAP | {"geometryType": "cube"}),
                          "broken_shape", "geometryType 'cube' is unknown"),
    "supervisely: list": ("supervisely", "ds/ann/b.jpg.json", lambda p: _sly(p, BITMAP | {"geometryType": [3]}),
                          "broken_shape", r"geometryType must be a text, found \[3\]"),
    "supervisely: no photo": ("supervisely", "ds/img/b.jpg", lambda p: p.unlink(), "missing_photo", "b.jpg"),
    "voc: no class map": ("voc", "SegmentationClass/b.png", lambda p: p.unlink(), "broken_file", "no such label map"),
    "voc: PNG": ("voc", "SegmentationObject/b.png", lambda p: p.write_bytes(b"x"), "broken_file", "b.png"),
    "voc: sizes": ("voc", "SegmentationObject/b.png", lambda p: p.write_bytes(png(np.ones((3, 3), dtype=np.uint8))),
                   "broken_file", "sizes"),
    "voc: class": ("voc", "SegmentationClass/b.png", lambda p: p.write_bytes(png(np.full(SIZE, 9, dtype=np.uint8))),
                   "unknown_class", "object 1.*9 has no name"),
    "voc: classes": (
        "voc", "SegmentationClass/b.png",
        lambda p: p.write_bytes(png(np.arange(1200, dtype=np.int64).reshape(SIZE).astype(np.uint8) % 3)),
        "broken_shape", "object 1.*several classes",
    ),
    "masks: PNG": ("masks", "masks/b_Jeans_0.png", lambda p: p.write_bytes(b"x"), "broken_shape", "b_Jeans_0.png"),
    "masks: size": ("masks", "masks/b_Jeans_0.png", lambda p: p.write_bytes(png(np.ones((3, 3), dtype=np.uint8))),
                    "other_size", "3 x 3"),
    "masks: name": ("masks", "masks/z_Jeans_0.png", lambda p: p.write_bytes(png(np.ones(SIZE, dtype=np.uint8))),
                    "missing_photo", "z_Jeans_0.png: no photo"),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_a_broken_file(case: str, tmp_path: Path) -> None:
    form, name, breaks, reason, message = FILES[case]
    writer = {
        "labelme": label_files.write_labelme, "supervisely": label_files.write_supervisely,
        "voc": label_files.write_voc, "masks": label_files.write_masks,
    }[form]  # fmt: skip
    writer(tmp_path / "in", TRUTH)
    breaks(tmp_path / "in" / name)
    summary = imported(tmp_path / "in", format=form)
    found, text = only(summary)
    assert (found, bool(re.search(message, text))) == (reason, True), (found, text)
    others = {stem: objects for stem, objects in objects_of(tmp_path / "out").items() if stem != "b"}
    assert others == {stem: objects for stem, objects in label_files.expected(TRUTH).items() if stem != "b"}


CVAT_SHAPES = {
    '<polygon label="Dress" points="1,1;2"/>': "another length",
    '<polygon label="Dress" points="1,1;2,x;3,3"/>': "'x'",
    '<polygon label="Dress"/>': "3 or more corners",
    '<mask label="Dress" rle="1,2" left="0" top="0" width="5" height="5"/>': "runs fill 3 pixels",
    '<mask label="Dress" rle="-5,30" left="0" top="0" width="5" height="5"/>': "runs fill",
    '<mask label="Dress" rle="25" left="0" top="0" width="5"/>': "not a number",
    '<mask label="Dress" rle="1" left="0" top="0" width="1000000" height="1000000"/>': "limit",
    '<ellipse label="Dress" cx="1" cy="2" rx="-3" ry="1"/>': "radii",
    '<polygon label="Dress" points="1,1;9,1;9,9" z_order="top"/>': "top",
    '<polygon points="1,1;9,1;9,9"/>': "no class",
}


@pytest.mark.parametrize("shape", CVAT_SHAPES)
def test_a_broken_shape_of_cvat(shape: str, tmp_path: Path) -> None:
    label_files.write_cvat(tmp_path / "in", TRUTH)
    path = tmp_path / "in" / "annotations.xml"
    head, middle, tail = path.read_text().partition('name="b.jpg" width="40" height="30">')
    path.write_text(head + middle + shape + tail)
    reason, text = only(imported(tmp_path / "in"))
    assert reason == "broken_shape"
    assert text.startswith("images/b.jpg")
    assert CVAT_SHAPES[shape] in text
    assert objects_of(tmp_path / "out") == label_files.expected(TRUTH)


def test_broken_xml_names_its_line(tmp_path: Path) -> None:
    label_files.write_cvat(tmp_path / "in", TRUTH)
    path = tmp_path / "in" / "annotations.xml"
    path.write_text(path.read_text().replace("</image>", "</imag>", 1))
    with pytest.raises(DataError, match=r"annotations.xml: cannot be read as XML .*line 3"):
        imported(tmp_path / "in")
    assert not (tmp_path / "out").exists()


WHOLE: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "names missing": ("data.yaml", lambda p: p.write_text("train: images\n"), "names must be a list"),
    "names wrong": ("data.yaml", lambda p: p.write_text("names: {x: Dress}\ntrain: images\n"), "'x'"),
    "alias bomb": ("data.yaml", lambda p: p.write_text(bomb(9) + "\nnames: [*a8]\n"), "too many values"),
    "no YAML": ("data.yaml", lambda p: p.write_text("{"), "not valid YAML"),
    "no folder": ("data.yaml", lambda p: p.write_text("names: [a]\ntrain: pictures\n"), "train is 'pictures'"),
}


@pytest.mark.parametrize("case", WHOLE)
def test_a_broken_data_yaml(case: str, tmp_path: Path) -> None:
    write_yolo(tmp_path / "in")
    name, breaks, message = WHOLE[case]
    breaks(tmp_path / "in" / name)
    with pytest.raises(DataError, match=re.escape(message)):
        import_dataset(tmp_path / "in" / name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_label_file_without_a_photo_is_named(tmp_path: Path) -> None:
    """YOLO's label files, where the photo is gone, or its name differs in case; lists of names are no labels."""
    source = tmp_path / "yolo"
    for number in range(4):
        write_photo(source / "images" / "train" / f"a{number}.jpg", (40, 60), seed=number)
    (source / "labels" / "train").mkdir(parents=True)
    for number in range(6):
        (source / "labels" / "train" / f"a{number}.txt").write_text("0 0.1 0.1 0.5 0.1 0.5 0.5\n" if number else "")
    (source / "labels" / "train" / "classes.txt").write_text("Dress\n")
    (source / "labels" / "train" / "notes.txt").write_text("made by hand\n")
    (source / "data.yaml").write_text("train: images/train\nnames: [Dress]\n")
    summary = import_dataset(source, tmp_path / "out")
    named = [(row.reason, row.photo) for row in summary.failed]
    assert named == [("missing_photo", "labels/train/a4.txt"), ("missing_photo", "labels/train/a5.txt")]
    assert sum(split.photos for split in summary.splits.values()) == 4


@pytest.mark.parametrize("listed", [True, False])
def test_names_that_differ_in_case_and_spaces_are_one_class(listed: bool, tmp_path: Path) -> None:
    """A dataset with both would be refused by every command that follows."""
    names = ["Dress", "dress", " Dress  ", "DRESS"]
    source = tmp_path / "labels"
    for number, name in enumerate(names):
        write_photo(source / "images" / "train" / f"a{number}.jpg", (40, 60), seed=number)
        if listed:
            (source / "labels" / "train").mkdir(parents=True, exist_ok=True)
            (source / "labels" / "train" / f"a{number}.txt").write_text(f"{number} 0.1 0.1 0.5 0.1 0.5 0.5\n")
            (source / "data.yaml").write_text(f"train: images/train\nnames: {json.dumps(names)}\n")
        else:
            shape = {"label": name, "points": [[5, 5], [30, 5], [30, 30]], "shape_type": "polygon"}
            write_labelme_file(source / "images" / "train" / f"a{number}.json", (40, 60), [shape])
    summary = import_dataset(source, tmp_path / "out")
    assert (summary.classes, summary.dropped) == (("Dress",), ())
    data = CocoLikeDataset().load_data(tmp_path / "out").prepare()
    assert data.classes == ["Dress"]
    assert sum(sum(split.class_masks.values()) for split in summary.splits.values()) == 4
