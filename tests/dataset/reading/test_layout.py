"""Folders as labelling tools export them, built by the tools' documentation; and splitting of one file."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clothseg.dataset import CocoLikeDataset
from clothseg.dataset.doctor import Severity, examine
from clothseg.dataset.reading import choose_split, find_layout
from clothseg.dataset.reading.layout import role_of
from clothseg.dataset.train_val import read_train_val, split_one_file
from clothseg.errors import DataError

from .conftest import SIZE, Tree, draw, tree, write_json

Build = Callable[[Path], None]
LAYOUTS: dict[str, tuple[Build, str, str]] = {}


def layout(train: str, val: str) -> Callable[[Build], Build]:
    """Marks a function that writes an export; the names of its splits for training and validation."""

    def put(build: Build) -> Build:
        LAYOUTS[build.__name__] = (build, train, val)
        return build

    return put


def export(folder: Path, file: str, photos: str, *, seed: int = 0, name: str = "{}", change: Any = None) -> None:
    """Writes 3 photos to `photos` and a COCO file whose file names follow the pattern `name`."""
    content = tree()
    for n, image in enumerate(content["images"]):
        draw(folder / photos / image["file_name"], seed + n)
        image["file_name"] = name.format(image["file_name"])
    if change is not None:
        change(content)
    write_json(folder / file, content)


@layout("train", "val")
def clothseg(folder: Path) -> None:
    export(folder, "annotations/train.json", "images")
    export(folder, "annotations/val.json", "images")


@layout("train2017", "val2017")
def coco2017(folder: Path) -> None:
    for seed, split in enumerate(("train2017", "val2017")):
        export(folder, f"annotations/instances_{split}.json", split, seed=10 * seed)
        write_json(folder / f"annotations/captions_{split}.json", {"images": [], "annotations": []})


@layout("default", "")
def cvat(folder: Path) -> None:
    export(folder, "annotations/instances_default.json", "images/default")


@layout("default", "")
def cvat_with_photos_in_images(folder: Path) -> None:
    export(folder, "annotations/instances_default.json", "images")


@layout("Train", "Validation")
def cvat_with_subsets(folder: Path) -> None:
    for seed, split in enumerate(("Train", "Validation")):
        export(folder, f"annotations/instances_{split}.json", f"images/{split}", seed=10 * seed)


def add_root(content: Tree) -> None:
    """Roboflow's class that groups the others, and ids from 0."""
    for row in content["categories"]:
        row["supercategory"] = "clothes-x"
    content["categories"].insert(0, {"id": 0, "name": "clothes-x", "supercategory": "none"})
    for row in content["images"]:
        row["id"] -= 1
    for row in content["annotations"]:
        row["image_id"] -= 1
        row["id"] -= 1


@layout("train", "valid")
def roboflow(folder: Path) -> None:
    for seed, split in enumerate(("train", "valid", "test")):
        export(folder, f"{split}/_annotations.coco.json", split, seed=10 * seed, change=add_root)


def from_zero(content: Tree) -> None:
    """Ids of photos, classes and annotations from 0."""
    for section, keys in (
        ("images", ["id"]),
        ("categories", ["id"]),
        ("annotations", ["id", "image_id", "category_id"]),
    ):
        for row in content[section]:
            for key in keys:
                row[key] -= 1


@layout("result", "")
def label_studio(folder: Path) -> None:
    export(folder, "result.json", "images", name="images\\{}", change=from_zero)


@layout("result", "")
def label_studio_with_local_files(folder: Path) -> None:
    export(folder, "result.json", "images", name="/data/local-files/?d=shop/images/{}", change=from_zero)


@layout("result", "")
def label_studio_with_uploads(folder: Path) -> None:
    export(folder, "result.json", "images", name="http://localhost:8080/data/upload/1/{}", change=from_zero)


@layout("labels", "")
def fiftyone(folder: Path) -> None:
    export(folder, "labels.json", "data")


@layout("train", "validation")
def fiftyone_with_splits(folder: Path) -> None:
    for seed, split in enumerate(("train", "validation")):
        export(folder, f"{split}/labels.json", f"{split}/data", seed=10 * seed)


@layout("annotations", "")
def labelme_converter(folder: Path) -> None:
    def change(content: Tree) -> None:
        from_zero(content)
        for row in content["categories"]:
            row["id"] += 1
        for row in content["annotations"]:
            row["category_id"] += 1
        content["categories"].insert(0, {"id": 0, "name": "_background_", "supercategory": None})

    export(folder, "annotations.json", "JPEGImages", name="JPEGImages/{}", change=change)
    draw(folder / "Visualization" / "0.png", 9)


@layout("labels_shop", "")
def file_beside_its_photos(folder: Path) -> None:
    export(folder, "labels_shop.json", ".")
    write_json(folder / "notes.json", {"author": "me"})


@layout("train", "val")
def files_beside_their_photos(folder: Path) -> None:
    export(folder, "train.json", ".")
    export(folder, "val.json", ".")


@layout("train", "val")
def a_folder_for_each_split(folder: Path) -> None:
    for seed, split in enumerate(("train", "val")):
        export(folder, f"{split}/annotations.json", f"{split}/images", seed=10 * seed)


@pytest.mark.parametrize("name", LAYOUTS)
def test_exports_are_read_as_they_come(name: str, tmp_path: Path) -> None:
    build, train, val = LAYOUTS[name]
    build(tmp_path)
    found = find_layout(tmp_path)
    assert {train, val} - {""} <= {split.name for split in found.splits}
    for wanted, split in (("train", train), ("val", val)):
        if not split:
            continue
        data = CocoLikeDataset().load_data(tmp_path, wanted).prepare()
        assert data.source == choose_split(found, split).annotations
        assert data.classes == ["Suit", "Dress"]
        assert [data.load_image(n).shape for n in range(3)] == [(*SIZE, 3)] * 3
        assert [data.load_instances(n).classes.tolist() for n in range(3)] == [[1, 2]] * 3
        direct = CocoLikeDataset().load_data(data.source or Path()).prepare()
        assert [entry.path for entry in direct.images] == [entry.path for entry in data.images]
    kinds = {f.kind for f in examine([tmp_path], min_instances=0).findings if f.severity == Severity.ERROR}
    assert kinds <= {"photo_in_two_splits"}
    if val:
        first, second = read_train_val(tmp_path)
        assert (first.source, second.source) == tuple(choose_split(found, s).annotations for s in (train, val))
    else:
        with pytest.raises(DataError, match=r"only one annotation file .*--val-fraction"):
            read_train_val(tmp_path)
        assert [len(part) for part in split_one_file(tmp_path, 0.34)] == [2, 1]


def test_roles() -> None:
    names = ("train", "train2017", "Training", "clothes_val", "valid", "validation2", "test", "default", "retrained")
    assert [role_of(n) for n in names] == ["train", "train", "train", "val", "val", "val", "test", "", ""]


def test_a_split_that_is_not_there_or_not_clear(tmp_path: Path) -> None:
    for split in ("train2014", "train2017", "test"):
        export(tmp_path, f"annotations/instances_{split}.json", split)
    with pytest.raises(DataError, match=r"train may be train2014, train2017; choose one with --split"):
        CocoLikeDataset().load_data(tmp_path, "train")
    assert len(CocoLikeDataset().load_data(tmp_path, "train2014")) == 3
    with pytest.raises(
        DataError, match=r"no split 'val'; there is test \(annotations/instances_test\.json\), train2014"
    ):
        CocoLikeDataset().load_data(tmp_path, "val")


def test_a_folder_without_annotations_says_what_was_looked_for_and_what_is_there(tmp_path: Path) -> None:
    draw(tmp_path / "photos" / "1.png", 1)
    write_json(tmp_path / "1.json", {"version": "5.0", "shapes": [], "imagePath": "1.png"})
    with pytest.raises(DataError) as error:
        find_layout(tmp_path)
    for words in ("annotations/instances_*.json", "*/_annotations.coco*.json", "It contains 1.json, photos/"):
        assert words in str(error.value)


def test_a_photo_of_another_split_is_not_taken(tmp_path: Path) -> None:
    """`a.png` is missing in train, and another photo of that name is in val."""
    roboflow(tmp_path)
    (tmp_path / "train" / "0.png").unlink()
    data = CocoLikeDataset().load_data(tmp_path, "train")
    assert [entry.path.is_file() for entry in data.images] == [False, True, True]


def many(folder: Path, count: int = 30) -> Path:
    """One file; a third of the photos have the rare class, and photos 0 and 1 are the same, one of them smaller."""
    content = tree(count)
    content["annotations"] = [
        row for row in content["annotations"] if row["category_id"] == 1 or row["image_id"] % 3 == 0
    ]
    for n, image in enumerate(content["images"]):
        draw(folder / image["file_name"], n)
    shutil.copy(folder / "0.png", folder / "1.png")
    with Image.open(folder / "0.png") as photo:
        photo.resize((40, 30)).resize(SIZE[::-1]).save(folder / "1.png")
    return write_json(folder / "all.json", content)


def test_one_file_is_split_by_class_with_similar_photos_together(tmp_path: Path) -> None:
    file = many(tmp_path)
    train, val = split_one_file(tmp_path, 0.3)
    sides = [{entry.id for entry in part.images} for part in (train, val)]
    assert sides[0] | sides[1] == set(range(1, 31))
    assert not sides[0] & sides[1]
    rare = [len([i for i in side if i % 3 == 0]) for side in sides]
    assert rare == [7, 3]
    assert len({i in sides[1] for i in (1, 2)}) == 1
    again = [tuple(e.id for e in part.images) for part in split_one_file(file, 0.3)]
    assert again == [tuple(e.id for e in part.images) for part in (train, val)]
    assert [tuple(e.id for e in part.images) for part in split_one_file(file, 0.3, seed=1)] != again
    content = json.loads(file.read_text())
    content["images"].reverse()
    write_json(tmp_path / "other" / "all.json", content)
    reordered = split_one_file(tmp_path / "other" / "all.json", 0.3)
    assert len(reordered[1]) == pytest.approx(9, abs=1)  # its photos are not there, so nothing is similar
    together = {1, 2}
    for seed in range(20):
        ids = {entry.id for entry in split_one_file(file, 0.5, seed=seed)[1].images}
        assert len(together & ids) in (0, 2)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -1.0])
def test_a_fraction_out_of_range(fraction: float, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must be above 0 and below 1"):
        split_one_file(many(tmp_path, 4), fraction)


def test_photos_without_objects_are_split_too(tmp_path: Path) -> None:
    file = many(tmp_path, 12)
    content = json.loads(file.read_text())
    content["annotations"] = [row for row in content["annotations"] if row["image_id"] > 6]
    write_json(file, content)
    _, val = split_one_file(file, 0.5)
    empty = [entry for entry in val.images if not entry.annotations]
    assert len(empty) == pytest.approx(3, abs=1)
    assert np.mean([bool(entry.annotations) for entry in val.images]) == pytest.approx(0.5, abs=0.2)


@pytest.mark.parametrize(
    ("name", "classes", "counts"), [("label_studio", [2, 1], [2, 2, 2]), ("datumaro", [1, 2], [2, 2, 3])]
)
def test_exports_made_by_the_tools(name: str, classes: list[int], counts: list[int], tmp_path: Path) -> None:
    """See exports/README.md. Label Studio sorts its classes by name."""
    folder = tmp_path / name
    shutil.copytree(Path(__file__).parent / "exports" / name, folder)
    data = CocoLikeDataset().load_data(folder, "train").prepare()
    assert sorted(data.classes) == ["Dress", "Suit"]
    found = [data.load_instances(position) for position in range(3)]
    assert [f.classes[:2].tolist() for f in found] == [classes] * 3
    assert [len(f) for f in found] == counts
    assert [data.load_image(position).shape for position in range(3)] == [(*SIZE, 3)] * 3
    for instances in found:
        assert instances.boxes[0].tolist() == [5, 8, 25, 28]
        assert instances.masks.pixels()[0].sum() == 400
    crowd = [f.crowd[2:].tolist() for f in found]
    assert crowd == ([[]] * 3 if name == "label_studio" else [[], [], [True]])
    assert examine([folder], min_instances=0).count(Severity.ERROR) == 0
    assert [len(part) for part in split_one_file(folder, 0.34)] == [2, 1]
