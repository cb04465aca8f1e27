"""Every rule of the reader: datasets, evaluation and the doctor agree on each file, and use the same words."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as referee

from clothseg.dataset import CocoLikeDataset
from clothseg.dataset.doctor import KINDS, Severity, examine, write_cleaned
from clothseg.dataset.reading import RULES, Action
from clothseg.errors import DataError
from clothseg.evaluation.truth import read_truth

from .conftest import SIZE, Tree, square

Change = Callable[[Tree], Any]
MakeDataset = Callable[[Change], Path]
PIXELS = SIZE[0] * SIZE[1]


def rle_of_first() -> dict[str, Any]:
    """The first square as pycocotools compresses it."""
    (encoded,) = referee.frPyObjects([square(5, 8)], *SIZE)
    return {"size": list(SIZE), "counts": encoded["counts"].decode()}


def runs_of_first() -> list[int]:
    """The first square as run lengths, counted from its pixels."""
    pixels = referee.decode(referee.frPyObjects([square(5, 8)], *SIZE))[..., 0].ravel(order="F")
    edges = np.flatnonzero(np.diff(np.concatenate([[0], pixels, [pixels[-1]]])))
    return [int(n) for n in np.diff(np.concatenate([[0], edges, [PIXELS]]))]


def rows(section: str, **values: Any) -> Change:
    """Changes all rows of a list."""

    def change(tree: Tree) -> None:
        for row in tree[section]:
            row.update({k: v(row) if callable(v) else v for k, v in values.items()})

    return change


def first(section: str = "annotations", **values: Any) -> Change:
    """Changes the first row of a list; a value of `...` is removed."""

    def change(tree: Tree) -> None:
        tree[section][0].update(values)
        for key in [key for key, value in values.items() if value is ...]:
            del tree[section][0][key]

    return change


def add(section: str, *found: Any) -> Change:
    return lambda tree: tree[section].extend(found)


def all_of(*changes: Change) -> Change:
    def change(tree: Tree) -> None:
        for one in changes:
            one(tree)

    return change


UNCHANGED: dict[str, tuple[str, Change]] = {
    # corrected
    "size as float": ("number_form", rows("images", width=80.0, height=60.0)),
    "size as text": ("number_form", rows("images", width="80", height="60.0")),
    "coordinates as text": ("number_form", first(segmentation=[[str(v) for v in square(5, 8)]])),
    "runs as floats": (
        "number_form",
        first(segmentation={"size": [*SIZE], "counts": [float(n) for n in runs_of_first()]}),
    ),
    "runs as text": ("number_form", first(segmentation={"size": [*SIZE], "counts": [str(n) for n in runs_of_first()]})),
    "RLE without its size": ("number_form", first(segmentation={"counts": runs_of_first()})),
    "RLE with a size of floats": ("number_form", first(segmentation=rle_of_first() | {"size": [60.0, 80.0]})),
    "codes of the compressed text": (
        "number_form",
        first(segmentation={"size": [*SIZE], "counts": list(rle_of_first()["counts"].encode())}),
    ),
    "bytes in Python's form": (
        "number_form",
        first(segmentation={"size": [*SIZE], "counts": str(rle_of_first()["counts"].encode())}),
    ),
    "iscrowd as bool": ("number_form", rows("annotations", iscrowd=False)),
    "iscrowd as text": ("number_form", rows("annotations", iscrowd="0")),
    "iscrowd as word": ("number_form", rows("annotations", iscrowd="false")),
    "iscrowd as float": ("number_form", rows("annotations", iscrowd=0.0)),
    "box as text": ("number_form", first(bbox=["5", "8", "20", "20"])),
    "area as text": ("number_form", first(area="400")),
    "iscrowd null": ("missing_figure", rows("annotations", iscrowd=None)),
    "iscrowd missing": ("missing_figure", first(iscrowd=...)),
    "box missing": ("missing_figure", first(bbox=...)),
    "box empty": ("missing_figure", first(bbox=[])),
    "area missing": ("missing_figure", first(area=...)),
    "area NaN": ("missing_figure", first(area=math.nan)),
    "box with infinity": ("wrong_box", first(bbox=[5, 8, math.inf, 20])),
    "box of three numbers": ("wrong_box", first(bbox=[5, 8, 20])),
    "width missing": ("size_from_photo", first("images", width=...)),
    "size of zero": ("size_from_photo", first("images", width=0, height=0)),
    "size null": ("size_from_photo", rows("images", width=None)),
    "name in another folder": ("photo_name", rows("images", file_name=lambda r: f"/home/a/photos/{r['file_name']}")),
    "name on Windows": ("photo_name", rows("images", file_name=lambda r: f"C:\\x\\{r['file_name']}")),
    "name as address": ("photo_name", rows("images", file_name=lambda r: f"http://host/data/1/{r['file_name']}?x=1")),
    "name in capitals": ("photo_name", rows("images", file_name=lambda r: r["file_name"].upper())),
    "a polygon of two points": ("polygon_dropped", first(segmentation=[square(5, 8), [1, 1, 2, 2]])),
    "ids as text": (
        "id_not_whole",
        all_of(rows("images", id=lambda r: str(r["id"])), rows("annotations", image_id=lambda r: str(r["image_id"]))),
    ),
    "ids as words": (
        "id_not_whole",
        all_of(rows("images", id=lambda r: f"p{r['id']}"), rows("annotations", image_id=lambda r: f"p{r['image_id']}")),
    ),
    "labelme's rectangle": ("two_corners", first(segmentation=[[24, 27, 5, 8]])),
    "ids as floats": (
        "id_not_whole",
        rows("annotations", id=lambda r: float(r["id"]), category_id=lambda r: float(r["category_id"])),
    ),
    "class ids as text": ("id_not_whole", rows("categories", id=lambda r: str(r["id"]))),
    "annotation ids missing": ("no_own_id", lambda t: [row.pop("id") for row in t["annotations"]] and None),
    "annotation ids all the same": ("no_own_id", rows("annotations", id=7)),
    "class name with spaces": ("class_name_spaces", first("categories", name=" Suit\t")),
    "everything from 0": (
        "classes_from_zero",
        all_of(
            rows("categories", id=lambda r: r["id"] - 1),
            rows("images", id=lambda r: r["id"] - 1),
            rows("annotations", image_id=lambda r: r["image_id"] - 1, category_id=lambda r: r["category_id"] - 1),
        ),
    ),
    # left out
    "rows of nothing": ("null_row", all_of(add("images", None), add("annotations", None), add("categories", None))),
    "a photo twice": ("repeated_row", lambda t: t["images"].append(dict(t["images"][0]))),
    "a class twice": ("repeated_row", add("categories", {"id": 1, "name": "Suit"})),
    "Roboflow's root": (
        "unused_root_class",
        all_of(
            rows("categories", supercategory="x"), add("categories", {"id": 0, "name": "x", "supercategory": "none"})
        ),
    ),
    "Roboflow's root with the name of a class": (
        "unused_root_class",
        all_of(
            rows("categories", supercategory="suit"),
            add("categories", {"id": 0, "name": "suit", "supercategory": "none"}),
        ),
    ),
    "labelme's background": (
        "unused_root_class",
        add("categories", {"id": 0, "name": "_background_", "supercategory": None}),
    ),
}
"""Files that hold the same as the plain one: what is wrong with them, and the kind of the correction."""

REFUSED: dict[str, tuple[str, Change, str]] = {
    "no list of annotations": ("not_coco", lambda t: t.update(annotations=None), "annotations is missing"),
    "images is a table": ("not_coco", lambda t: t.update(images={"a": 1}), "images must be a list"),
    "a row of text": ("wrong_type", add("annotations", "a dress"), r"annotations\[6\]: the row must be an object"),
    "iscrowd 2": ("wrong_type", first(iscrowd=2), "annotation 1: iscrowd must be 0 or 1, found 2"),
    "a fractional id": ("wrong_type", first("images", id=1.5), "id must be a whole number, found 1.5"),
    "an empty class name": ("wrong_type", first("categories", name=" "), "category 1: a class name must not be empty"),
    "a control character": ("wrong_type", first("categories", name="Su\x00it"), "category 1: .* control character"),
    "a class without a name": ("missing_key", first("categories", name=...), "category 1: name missing"),
    "a photo without a name": ("missing_key", first("images", file_name=...), "image 1: file_name missing"),
    "a photo without an id": ("missing_key", first("images", id=None), r"images\[0\], 0\.png: id missing"),
    "an annotation without a photo": ("missing_key", first(image_id=...), "annotation 1: image_id missing"),
    "neither mask nor box": (
        "missing_key",
        first(segmentation=..., bbox=...),
        "annotation 1: neither segmentation nor",
    ),
    "one id, two photos": ("duplicate_id", first("images", id=2), "image 2, 1.png: id 2 is also the id of '0.png'"),
    "one id, two classes": ("duplicate_id", first("categories", id=2), "category 2: id 2 is also the id of 'Suit'"),
    "names that differ by case": ("class_name_case", add("categories", {"id": 5, "name": "SUIT"}), "'Suit' and 'SUIT'"),
    "a name twice": ("class_name_twice", add("categories", {"id": 5, "name": "Suit"}), "two classes are called 'Suit'"),
    "classes alone from 0": (
        "category_below_one",
        all_of(
            rows("categories", id=lambda r: r["id"] - 1),
            rows("annotations", category_id=lambda r: r["category_id"] - 1),
        ),
        "class 'Suit' has id 0; ids start at 1",
    ),
    "an unknown photo": ("unknown_image", first(image_id=77), "annotation 1: names photo 77, which is not in the file"),
    "an unknown class": ("unknown_category", first(category_id=9), "annotation 1: names class 9, which is not in the"),
    "no mask, and no box": ("missing_key", first(segmentation=[], bbox=None), "neither segmentation nor bbox"),
    "no mask, and a broken box": ("wrong_type", first(segmentation=None, bbox=[1, 2, 3]), "annotation 1: bbox must be"),
    "a flat polygon": ("broken_segmentation", first(segmentation=square(5, 8)), "annotation 1: .* one list of numbers"),
    "NaN in a polygon": (
        "broken_segmentation",
        first(segmentation=[[1, 2, 3, math.nan, 5, 6]]),
        "annotation 1: a poly",
    ),
    "two points": ("few_points", first(segmentation=[[1, 1, 2, 2]]), "annotation 1: polygons with too few points"),
    "two points of a line": (
        "few_points",
        first(segmentation=[[5, 8, 25, 28]], area=0),
        "annotation 1: polygons with too few points",
    ),
    "runs that do not fill": (
        "broken_rle",
        first(segmentation={"size": [*SIZE], "counts": [10, 20.0, 30]}),
        "annotation 1: RLE runs fill 60 pixels",
    ),
    "compressed runs that do not fill": (
        "broken_rle",
        first(segmentation={"size": [*SIZE], "counts": rle_of_first()["counts"][:-1]}),
        "annotation 1: broken RLE",
    ),
    "sides exchanged": (
        "rle_size",
        first(segmentation={"size": [80, 60], "counts": [4800]}),
        "annotation 1: the RLE has 60 x 80 .*width and height are swapped",
    ),
}
WITHOUT_PHOTOS = {"a photo without a name"}
"""Files that the evaluation of a results file can use all the same: it needs no photos."""
IN_TEST_BOX_ONLY = {"box_only", "crowd_box"}


def masks(data: CocoLikeDataset) -> list[Any]:
    """Classes, crowds and pixels of each photo."""
    found = [data.load_instances(position) for position in range(len(data))]
    return [(f.classes.tolist(), f.crowd.tolist(), f.masks.pixels().numpy().tobytes()) for f in found]


@pytest.mark.parametrize("name", UNCHANGED)
def test_what_can_be_computed_is_set_right_everywhere(name: str, dataset: MakeDataset, tmp_path: Path) -> None:
    kind, change = UNCHANGED[name]
    plain = CocoLikeDataset().load_data(dataset(lambda tree: None)).prepare()
    expected, truth = masks(plain), read_truth(plain.source or Path())
    folder = dataset(change)
    data = CocoLikeDataset().load_data(folder).prepare()
    assert data.classes == ["Suit", "Dress"]
    assert masks(data) == expected
    assert [entry.path for entry in data.images] == [entry.path for entry in plain.images]
    assert [data.load_image(n).shape for n in range(3)] == [(*SIZE, 3)] * 3
    assert kind in {correction.kind for correction in data.corrections}
    known = read_truth(folder / "annotations" / "train.json")
    assert [(a["segmentation"], a["bbox"], a["area"], a["iscrowd"]) for a in known.annotations] == [
        (a["segmentation"], a["bbox"], a["area"], a["iscrowd"]) for a in truth.annotations
    ]
    diagnosis = examine([folder], min_instances=0)
    assert kind in {finding.kind for finding in diagnosis.findings}
    assert diagnosis.count(Severity.ERROR) == 0
    cleaned = write_cleaned(diagnosis, tmp_path / "clean")
    again = CocoLikeDataset().load_data(cleaned.folder).prepare()
    assert again.corrections == ()
    assert masks(again) == expected
    assert examine([cleaned.folder], min_instances=0).findings == ()


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_refused_everywhere_with_the_same_words(name: str, dataset: MakeDataset) -> None:
    kind, change, words = REFUSED[name]
    folder = dataset(change)
    file = folder / "annotations" / "train.json"
    with pytest.raises(DataError, match=words) as refused:
        CocoLikeDataset().load_data(folder)
    assert str(refused.value).startswith(f"{file}: ")
    assert len(str(refused.value)) < 1000
    if name in WITHOUT_PHOTOS:
        assert len(read_truth(file).annotations) == 6
    else:
        with pytest.raises(DataError, match=words) as refused_too:
            read_truth(file)
        assert str(refused_too.value) == str(refused.value)
    found = [f for f in examine([folder], min_instances=0).findings if f.kind == kind]
    assert found
    assert any(finding.message in str(refused.value) for finding in found)
    assert found[0].severity == Severity.ERROR


def test_every_rule_is_tried_and_has_a_severity_that_fits() -> None:
    tried = {kind for kind, _ in UNCHANGED.values()} | {kind for kind, _, _ in REFUSED.values()}
    assert tried | IN_TEST_BOX_ONLY == RULES.keys()
    for kind, rule in RULES.items():
        assert (KINDS[kind].severity == Severity.ERROR) == (rule.action == Action.REFUSED), kind


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_encodings(encoding: str, dataset: MakeDataset) -> None:
    folder = dataset(first("categories", name="Öltözet"))
    file = folder / "annotations" / "train.json"
    file.write_bytes(file.read_text().replace("\\u00d6", "Ö").encode(encoding))
    assert CocoLikeDataset().load_data(folder).prepare().classes == ["Öltözet", "Dress"]
    assert list(read_truth(file).names.values()) == ["Öltözet", "Dress"]
    assert examine([folder], min_instances=0).findings == ()


def test_two_photos_never_share_a_file_that_neither_names(dataset: MakeDataset) -> None:
    def change(tree: Tree) -> None:
        for n, row in enumerate(tree["images"]):
            row["file_name"] = f"day{n}/0.png"

    data = CocoLikeDataset().load_data(dataset(change))
    assert not any(entry.path.is_file() for entry in data.images)
