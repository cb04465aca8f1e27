"""Which photos and classes are in a build."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from clothseg.errors import DataError
from clothseg.openimages import BuildOptions, build_dataset

A, B, C = "1" * 16, "12345678e9012345", "f00000000000000f"
SUIT, DRESS, SUITCASE = "/m/01xyhv", "/m/01d40f", "/m/01s55n"
TREE = {
    "LabelName": "/m/0bl9f",
    "Subcategory": [
        {
            "LabelName": "/m/01gkx_",
            "Subcategory": [
                {"LabelName": DRESS, "Subcategory": [{"LabelName": SUIT}], "Part": [{"LabelName": SUITCASE}]}
            ],
        },
        {"LabelName": "/m/07mhn", "Subcategory": [{"LabelName": SUIT}]},
    ],
}
A, B, C, D = "1" * 16, "12345678e9012345", "f00000000000000f", "2" * 16
SUIT, DRESS = "/m/01xyhv", "/m/01d40f"


def test_a_class_includes_its_kinds_but_not_its_parts(good: Any, tmp_path: Path, load: Any) -> None:
    source = good.write()
    (source / "bbox_labels_600_hierarchy.json").write_text(json.dumps(TREE))
    with pytest.raises(DataError, match="no mask row matches"):
        build_dataset(source, tmp_path / "out", ["Swimwear"])
    summary = build_dataset(source, tmp_path / "out", ["Swimwear"], BuildOptions(include_children=True))
    assert summary.included == {"Swimwear": ("Dress", "Suit")}
    found = load(tmp_path / "out")["annotations"]
    assert [(a["category_id"], a["mid"]) for a in found] == [(1, SUIT), (1, SUIT), (1, DRESS)]
    assert yaml.safe_load((tmp_path / "out" / "dataset.yaml").read_text())["classes"][0]["includes"] == [
        "Dress",
        "Suit",
    ]
    # A Suit is nearer to Trousers (1 step) than to Swimwear (2). A requested class stays its own class.
    nearer = build_dataset(source, tmp_path / "two", ["Swimwear", "Trousers"], BuildOptions(include_children=True))
    assert nearer.included == {"Swimwear": ("Dress",), "Trousers": ("Suit",)}
    own = build_dataset(source, tmp_path / "own", ["Swimwear", "Suit"], BuildOptions(include_children=True))
    assert own.included == {"Swimwear": ("Dress",), "Suit": ()}


def test_negatives_have_no_box_of_the_classes(good: Any, tmp_path: Path, load: Any) -> None:
    good.photo("train", D)
    good.photo("train", "3" * 16)
    good.box("train", "3" * 16, SUIT, 0.2)
    source = good.write()
    assert build_dataset(source, tmp_path / "without", ["Suit", "Dress"]).train.photos == 2
    summary = build_dataset(source, tmp_path / "with", ["Suit", "Dress"], BuildOptions(keep_empty=True))
    assert (summary.train.photos, summary.train.negatives) == (3, 1)
    images = load(tmp_path / "with")["images"]
    assert [i["open_images_id"] for i in images] == [A, B, D]


def test_photos_verified_to_show_no_class_are_taken(good: Any, tmp_path: Path, load: Any, described: Any) -> None:
    verified, unknown, other = "34", "5", "6"
    for digit in verified + unknown + other:
        good.photo("train", digit * 16)
        good.photo_label("train", digit * 16, SUIT, "0")
    for digit in verified:
        good.photo_label("train", digit * 16, DRESS, "0")
    good.photo_label("train", other * 16, DRESS, "1")  # a Dress without a box
    good.photo_label("train", "7" * 16, SUIT, "0")  # a photo that is not in the folder
    good.photo_label("train", "3" * 16, DRESS, "none")
    source = good.write()

    def ids(name: str, classes: list[str], *, keep_empty: bool = True) -> list[str]:
        build_dataset(source, tmp_path / name, classes, BuildOptions(keep_empty=keep_empty))
        return [i["open_images_id"][0] for i in load(tmp_path / name)["images"]]

    assert ids("both", ["Suit", "Dress"]) == ["1", "1", "3", "4"]
    assert ids("suit", ["Suit"]) == ["1", "3"]  # not more than there are photos with a Suit
    assert ids("none", ["Suit", "Dress"], keep_empty=False) == ["1", "1"]
    document = described(tmp_path / "both")
    [broken] = document["dropped"]["broken_row"]
    assert "human-imagelabels-boxable.csv: row 10: Confidence is 'none'" in broken["detail"]
    label_table = "train-annotations-human-imagelabels-boxable.csv"
    assert label_table in [table["file"] for table in document["sources"]["tables"]]


def test_kinds_of_an_absent_class_are_absent(good: Any, tmp_path: Path) -> None:
    good.photo("train", D)
    good.photo_label("train", D, "/m/01gkx_", "0")  # nobody looked for the kinds, Dress and Suit
    source = good.write()
    (source / "bbox_labels_600_hierarchy.json").write_text(json.dumps(TREE))
    options = BuildOptions(include_children=True, keep_empty=True)
    assert build_dataset(source, tmp_path / "out", ["Swimwear"], options).train.negatives == 1


def test_partition_fraction_and_limit(good: Any, tmp_path: Path, load: Any) -> None:
    for digit in "3456789":
        good.photo("train", digit * 16)
        good.mask("train", digit * 16, SUIT, f"0000000{digit}")
    source = good.write()

    def ids(out: str, split: str) -> set[str]:
        return {i["open_images_id"][0] for i in load(tmp_path / out, split)["images"]}

    build_dataset(source, tmp_path / "part", ["Suit"], BuildOptions(partitions="3-5,f"))
    assert (ids("part", "train"), ids("part", "val")) == (set("345"), set("f"))
    build_dataset(source, tmp_path / "fraction", ["Suit"], BuildOptions(val_fraction=0.25, seed=4))
    train, val = ids("fraction", "train"), ids("fraction", "val")
    assert len(val) == 2
    assert train | val == set("13456789")
    assert not train & val
    build_dataset(source, tmp_path / "limit", ["Suit"], BuildOptions(limit=3))
    assert ids("limit", "train") == set("134")


def test_a_split_by_fraction_needs_no_validation_files(good: Any, tmp_path: Path) -> None:
    source = good.write()
    (source / "validation-annotations-object-segmentation.csv").unlink()
    build_dataset(source, tmp_path / "out", ["Suit", "Dress"], BuildOptions(val_fraction=0.5))
    with pytest.raises(DataError, match=r"validation-annotations-object-segmentation\.csv: no such file"):
        build_dataset(source, tmp_path / "own", ["Suit", "Dress"])


def test_a_photo_in_both_splits_is_refused(good: Any, tmp_path: Path) -> None:
    good.photo("validation", A)
    good.mask("validation", A, SUIT, "00000001")
    with pytest.raises(DataError, match=f"photo {A} is in train and in validation"):
        build_dataset(good.write(), tmp_path / "out", ["Suit"])


@pytest.fixture
def with_test(good: Any) -> Any:
    """`good` with two test photos: a Suit and a Dress, and a Suit."""
    for image_id in ("5" * 16, "6" * 16):
        good.photo("test", image_id)
        good.mask("test", image_id, SUIT, f"0000000{image_id[0]}")
    good.mask("test", "5" * 16, DRESS, "00000009")
    return good


def test_the_test_split_is_a_file_of_its_own(with_test: Any, tmp_path: Path, load: Any, described: Any) -> None:
    source = with_test.write()
    without = build_dataset(source, tmp_path / "without", ["Suit", "Dress"])
    assert without.test is None
    assert not (tmp_path / "without" / "annotations" / "test.json").exists()
    summary = build_dataset(source, tmp_path / "with", ["Suit", "Dress"], BuildOptions(include_test=True))
    found = load(tmp_path / "with", "test")
    assert [i["open_images_id"] for i in found["images"]] == ["5" * 16, "6" * 16]
    assert [a["mid"] for a in found["annotations"]] == [SUIT, DRESS, SUIT]
    for split in ("train", "val"):
        assert load(tmp_path / "with", split) == load(tmp_path / "without", split)
    assert summary.rows() == [("Suit", 1, 2, 1, 1, 2, 2, 0, 0), ("Dress", 1, 1, 0, 0, 1, 1, 0, 0),
                              ("all", 2, 3, 1, 1, 2, 3, 0, 0)]  # fmt: skip
    document = described(tmp_path / "with")
    assert document["sources"]["splits"] == ["train", "validation", "test"]
    assert document["counts"]["test"]["masks"] == 3
    assert (tmp_path / "with" / "images" / f"{'5' * 16}.jpg").is_file()


def test_a_fraction_and_a_limit_leave_the_test_split_whole(with_test: Any, tmp_path: Path, load: Any) -> None:
    for digit in "3478":
        with_test.photo("train", digit * 16)
        with_test.mask("train", digit * 16, SUIT, f"0000000{digit}")
    options = BuildOptions(val_fraction=0.5, limit=2, include_test=True)
    build_dataset(with_test.write(), tmp_path / "out", ["Suit", "Dress"], options)
    ids = {s: {i["open_images_id"][0] for i in load(tmp_path / "out", s)["images"]} for s in ("train", "val", "test")}
    assert ids["test"] == {"5", "6"}
    assert len(ids["train"]) == len(ids["val"]) == 2
    assert not (ids["train"] | ids["val"]) & set("56f")


def test_a_photo_of_train_or_validation_is_no_test_photo(with_test: Any, tmp_path: Path) -> None:
    with_test.photo("test", C)
    with_test.mask("test", C, SUIT, "00000001")
    with pytest.raises(DataError, match=f"photo {C} is in validation and in test"):
        build_dataset(with_test.write(), tmp_path / "out", ["Suit"], BuildOptions(include_test=True))


def test_a_test_split_without_the_classes_is_refused(with_test: Any, tmp_path: Path) -> None:
    with_test.mask("validation", C, SUITCASE, "00000007")
    with pytest.raises(DataError, match=r"test has no photo .*--include-test"):
        build_dataset(with_test.write(), tmp_path / "out", ["Suitcase"], BuildOptions(include_test=True))


def test_a_source_without_a_test_split_is_refused_when_it_is_asked_for(good: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="test: no such file"):
        build_dataset(good.write(), tmp_path / "out", ["Suit"], BuildOptions(include_test=True))
