"""Every kind of fault, planted in a copy of the sample. It is found at its place, and nothing else is found."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from pycocotools import mask as referee

from clothseg.dataset.doctor import KINDS, Severity, examine, write_cleaned
from clothseg.dataset.doctor.clean import CORRECTED

DataSet = Any  # of conftest.py
Plant = Callable[[DataSet], Any]
PLANTS: dict[str, tuple[str, Plant, set[str]]] = {}


def plant(kind: str, *also: str) -> Callable[[Plant], Plant]:
    """Marks a function that plants a fault and returns the id of the annotation (or image) to be named, or None.

    `also` lists kinds that the same fault always causes too.
    """

    def put(function: Plant) -> Plant:
        PLANTS[function.__name__] = (kind, function, set(also))
        return function

    return put


def polygons_of(annotation: dict[str, Any]) -> list[list[float]]:
    """The box of an annotation as a polygon."""
    x, y, w, h = annotation["bbox"]
    return [[x, y, x + w, y, x + w, y + h, x, y + h]]


def rectangle(annotation: dict[str, Any]) -> dict[str, Any]:
    """Replaces the RLE of an annotation by a correct polygon: its box."""
    annotation["segmentation"] = polygons_of(annotation)
    annotation["area"] = annotation["bbox"][2] * annotation["bbox"][3]
    return annotation


# photos


@plant("missing_photo")
def photo_missing(d: DataSet) -> Any:
    d.photo(d.train["images"][3]).unlink()
    return d.train["images"][3]["id"]


@plant("unreadable_photo")
def photo_cut_short(d: DataSet) -> Any:
    path = d.photo(d.train["images"][3])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return d.train["images"][3]["id"]


@plant("unreadable_photo")
def photo_is_text(d: DataSet) -> Any:
    d.photo(d.val["images"][0]).write_text("<html>404</html>")
    return d.val["images"][0]["id"]


@plant("size_mismatch")
def photo_resized(d: DataSet) -> Any:
    path = d.photo(d.train["images"][2])
    with Image.open(path) as photo:
        photo.resize((photo.width + 1, photo.height)).save(path)
    return d.train["images"][2]["id"]


def with_orientation(path: Path, value: int) -> None:
    with Image.open(path) as photo:
        exif = photo.getexif()
        exif[0x0112] = value
        photo.save(path, exif=exif, quality=90)


@plant("exif_rotation")
def photo_turned_by_exif(d: DataSet) -> Any:
    with_orientation(d.photo(d.train["images"][5]), 6)
    return d.train["images"][5]["id"]


@plant("exif_unclear")
def photo_upside_down_by_exif(d: DataSet) -> Any:
    with_orientation(d.photo(d.train["images"][5]), 3)
    return d.train["images"][5]["id"]


# masks


@plant("empty_mask")
def mask_empty(d: DataSet) -> Any:
    a = d.train["annotations"][4]
    size = a["segmentation"]["size"]
    a["segmentation"]["counts"] = referee.encode(np.zeros(size, np.uint8, order="F"))["counts"].decode()
    return a["id"]


@plant("empty_mask")
def mask_is_a_line(d: DataSet) -> Any:
    a = d.train["annotations"][4]
    x, y, w, _ = a["bbox"]
    a["segmentation"] = [[x, y, x + w, y, x + w / 2, y]]
    return a["id"]


@plant("box_only")
def mask_without_polygons(d: DataSet) -> Any:
    d.train["annotations"][4]["segmentation"] = []


@plant("crowd_box")
def crowd_without_a_mask(d: DataSet) -> Any:
    a = d.train["annotations"][4]
    width, height = a["bbox"][2:]
    a |= {"segmentation": None, "iscrowd": 1, "area": width * height}
    return a["id"]


@plant("box_off_photo", "box_only")
def box_beside_the_photo(d: DataSet) -> Any:
    a = d.train["annotations"][4]
    a["segmentation"] = []
    a["bbox"][0] += 2000
    return a["id"]


@plant("zero_box", "box_only")
def box_without_extent_and_mask(d: DataSet) -> Any:
    a = d.train["annotations"][4]
    a |= {"segmentation": [], "bbox": [*a["bbox"][:3], 0]}
    return a["id"]


@plant("duplicate_instance", "box_only")
def box_around_a_mask(d: DataSet) -> Any:
    a = {**d.train["annotations"][4], "id": 99999, "segmentation": []}
    d.train["annotations"].append(a)
    return a["id"]


@plant("mask_outside", "box_outside")
def mask_and_box_beside_the_photo(d: DataSet) -> Any:
    a = rectangle(d.train["annotations"][4])
    a["bbox"][0] += 1000
    a["segmentation"] = polygons_of(a)
    return a["id"]


@plant("mask_over_edge", "box_outside")
def mask_over_the_edge(d: DataSet) -> Any:
    a = d.train["annotations"][4]
    a["bbox"][0] = -5
    rectangle(a)
    a["bbox"] = [-5, *a["bbox"][1:]]
    return a["id"]


@plant("rle_size")
def rle_of_another_size(d: DataSet) -> Any:
    a = d.val["annotations"][1]
    a["segmentation"]["size"] = a["segmentation"]["size"][::-1]
    return a["id"]


@plant("broken_rle")
def rle_cut(d: DataSet) -> Any:
    a = d.val["annotations"][1]
    a["segmentation"]["counts"] = a["segmentation"]["counts"][:-6]
    return a["id"]


@plant("broken_segmentation")
def polygon_without_its_list(d: DataSet) -> Any:
    a = d.val["annotations"][1]
    a["segmentation"] = polygons_of(a)[0]
    return a["id"]


@plant("few_points")
def polygon_of_two_points(d: DataSet) -> Any:
    a = d.train["annotations"][0]
    a["segmentation"] = [[10, 10, 50, 50]]
    return a["id"]


@plant("two_corners")
def rectangle_of_two_corners(d: DataSet) -> Any:
    a = rectangle(d.train["annotations"][0])
    x, y, width, height = a["bbox"]
    a["segmentation"], a["area"] = [[x + width - 1, y, x, y + height - 1]], width * height
    return a["id"]


@plant("polygon_dropped")
def polygon_of_two_points_beside_a_good_one(d: DataSet) -> Any:
    a = rectangle(d.train["annotations"][0])
    a["segmentation"].append([10, 10, 50, 50, 10, 10])
    return a["id"]


@plant("duplicate_instance")
def instance_twice(d: DataSet) -> Any:
    again = copy.deepcopy(d.train["annotations"][2]) | {"id": 9001}
    d.train["annotations"].append(again)
    return 9001


@plant("one_mask_two_classes")
def instance_under_two_names(d: DataSet) -> Any:
    again = copy.deepcopy(d.train["annotations"][2]) | {"id": 9001}
    again["category_id"] = again["category_id"] % 3 + 1
    d.train["annotations"].append(again)
    return 9001


@plant("all_crowd")
def everything_a_crowd(d: DataSet) -> Any:
    for a in d.val["annotations"]:
        a["iscrowd"] = 1


# boxes and area


@plant("zero_box")
def box_without_width(d: DataSet) -> Any:
    d.train["annotations"][6]["bbox"][2] = 0
    return d.train["annotations"][6]["id"]


@plant("box_mask_mismatch", "box_outside")
def box_as_two_corners(d: DataSet) -> Any:
    x, y, w, h = d.train["annotations"][6]["bbox"]
    d.train["annotations"][6]["bbox"] = [x, y, x + w, y + h]
    return d.train["annotations"][6]["id"]


@plant("box_mask_mismatch")
def box_elsewhere(d: DataSet) -> Any:
    d.train["annotations"][6]["bbox"] = [0, 0, 30, 40]
    return d.train["annotations"][6]["id"]


@plant("loose_box")
def box_too_large(d: DataSet) -> Any:
    x, y, w, h = d.train["annotations"][6]["bbox"]
    d.train["annotations"][6]["bbox"] = [x, y - 0.2 * h, w, 1.2 * h]
    return d.train["annotations"][6]["id"]


@plant("wrong_area")
def area_of_the_box(d: DataSet) -> Any:
    a = d.train["annotations"][6]
    a["area"] = a["bbox"][2] * a["bbox"][3]
    return a["id"]


@plant("wrong_area")
def area_a_little_wrong(d: DataSet) -> Any:
    d.train["annotations"][6]["area"] *= 1.03
    return d.train["annotations"][6]["id"]


@plant("missing_figure")
def no_area_and_no_crowd_flag(d: DataSet) -> Any:
    del d.train["annotations"][6]["area"], d.train["annotations"][6]["iscrowd"]
    return d.train["annotations"][6]["id"]


# ids


@plant("no_own_id")
def annotation_id_twice(d: DataSet) -> Any:
    d.train["annotations"][5]["id"] = d.train["annotations"][4]["id"]
    return d.train["annotations"][4]["id"]


@plant("duplicate_id")
def image_id_twice(d: DataSet) -> Any:
    gone = d.train["images"][5]["id"]
    d.train["images"][5]["id"] = d.train["images"][4]["id"]
    d.train["annotations"] = [a for a in d.train["annotations"] if a["image_id"] != gone]
    return d.train["images"][4]["id"]


@plant("category_below_one")
def categories_from_zero(d: DataSet) -> Any:
    for tree in (d.train, d.val):
        for row in tree["categories"]:
            row["id"] -= 1
        for row in tree["annotations"]:
            row["category_id"] -= 1


@plant("classes_from_zero", "id_below_one")
def everything_from_zero(d: DataSet) -> Any:
    for tree in (d.train, d.val):
        shift = min(row["id"] for row in tree["images"])
        for row in tree["categories"]:
            row["id"] -= 1
        for row in tree["images"]:
            row["id"] -= shift
        for row in tree["annotations"]:
            row["category_id"] -= 1
            row["image_id"] -= shift


@plant("unused_root_class")
def root_class_of_roboflow(d: DataSet) -> Any:
    for tree in (d.train, d.val):
        for row in tree["categories"]:
            row["supercategory"] = "clothes-x"
        tree["categories"].insert(0, {"id": 0, "name": "clothes-x", "supercategory": "none"})


@plant("unused_root_class")
def background_class_of_labelme(d: DataSet) -> Any:
    for tree in (d.train, d.val):
        tree["categories"].insert(0, {"id": 0, "name": "_background_", "supercategory": None})


@plant("class_name_twice", "class_in_one_split")
def class_twice_in_a_file(d: DataSet) -> Any:
    d.train["categories"] += [{"id": 8, "name": "Hat"}, {"id": 9, "name": "Hat"}]


@plant("class_name_spaces")
def class_name_with_a_line_break(d: DataSet) -> Any:
    d.train["categories"][1]["name"] += "\n"


@plant("id_below_one")
def annotations_from_zero(d: DataSet) -> Any:
    for row in d.train["annotations"]:
        row["id"] -= 1
    return 0


@plant("id_not_whole")
def ids_as_strings(d: DataSet) -> Any:
    for row in d.train["images"]:
        row["id"] = f"photo {row['id']}"
    for row in d.train["annotations"]:
        row["image_id"] = f"photo {row['image_id']}"
    return "photo 1"


@plant("id_not_whole")
def category_ids_as_strings(d: DataSet) -> Any:
    for row in d.train["annotations"]:
        row["category_id"] = str(row["category_id"])
    return d.train["annotations"][0]["id"]


@plant("unknown_category")
def category_unknown(d: DataSet) -> Any:
    d.train["annotations"][1]["category_id"] = 77
    return d.train["annotations"][1]["id"]


@plant("unknown_image")
def image_unknown(d: DataSet) -> Any:
    d.train["annotations"][1]["image_id"] = 7777
    return d.train["annotations"][1]["id"]


# splits


@plant("class_name_case")
def class_in_capitals(d: DataSet) -> Any:
    d.val["categories"][1]["name"] = d.val["categories"][1]["name"].upper()


@plant("class_id_differs")
def classes_in_another_order(d: DataSet) -> Any:
    first, second = d.val["categories"][:2]
    first["id"], second["id"] = second["id"], first["id"]


@plant("class_in_one_split")
def class_in_train_alone(d: DataSet) -> Any:
    d.train["categories"].append({"id": 4, "name": "Hat"})


def into_train(d: DataSet, change: Callable[[Image.Image], Image.Image] | None) -> Any:
    """Adds a photo of val with its annotations to train, as image 501."""
    image = d.val["images"][2]
    new = image | {"id": 501, "file_name": "copy.jpg" if change else image["file_name"]}
    d.train["images"].append(new)
    for a in d.val["annotations"]:
        if a["image_id"] == image["id"]:
            d.train["annotations"].append(copy.deepcopy(a) | {"id": 9000 + a["id"], "image_id": 501})
    if change:
        with Image.open(d.photo(image)) as photo:
            change(photo).save(d.photo(new), quality=60)
    return 501


@plant("photo_in_two_splits")
def photo_in_both(d: DataSet) -> Any:
    return into_train(d, None)


@plant("photo_in_two_splits")
def photo_in_both_under_another_name(d: DataSet) -> Any:
    image = d.val["images"][2]
    d.train["images"].append(image | {"id": 501, "file_name": "copy.jpg"})
    (d.folder / "images" / "copy.jpg").write_bytes(d.photo(image).read_bytes())
    return 501


@plant("similar_photos")
def photo_brighter_in_the_other(d: DataSet) -> Any:
    return into_train(d, lambda photo: ImageEnhance.Brightness(photo).enhance(1.15))


@plant("similar_photos")
def photo_grey_in_the_other(d: DataSet) -> Any:
    return into_train(d, lambda photo: photo.convert("L"))


@plant("duplicate_photo")
def photo_twice_in_a_split(d: DataSet) -> Any:
    d.train["images"].append(d.train["images"][0] | {"id": 501})
    return 501


# form


@plant("missing_key")
def annotation_without_category(d: DataSet) -> Any:
    del d.train["annotations"][1]["category_id"]
    return d.train["annotations"][1]["id"]


@plant("missing_key")
def image_without_name(d: DataSet) -> Any:
    del d.train["images"][1]["file_name"]
    return d.train["images"][1]["id"]


@plant("number_form")
def width_as_text(d: DataSet) -> Any:
    d.train["images"][1]["width"] = "367"
    return d.train["images"][1]["id"]


@plant("wrong_type")
def annotation_is_a_word(d: DataSet) -> Any:
    d.train["annotations"].append("a dress")


@plant("wrong_box")
def box_with_infinity(d: DataSet) -> Any:
    d.train["annotations"][1]["bbox"][3] = float("inf")
    return d.train["annotations"][1]["id"]


@plant("null_row")
def row_of_nothing(d: DataSet) -> Any:
    d.train["annotations"].append(None)


@plant("repeated_row")
def image_row_twice(d: DataSet) -> Any:
    d.train["images"].append(dict(d.train["images"][2]))
    return d.train["images"][2]["id"]


@plant("size_from_photo")
def size_missing(d: DataSet) -> Any:
    del d.train["images"][2]["width"]
    return d.train["images"][2]["id"]


@plant("photo_name")
def photo_in_another_case(d: DataSet) -> Any:
    image = d.train["images"][1]
    image["file_name"] = image["file_name"].upper()
    return image["id"]


@plant("unsafe_name")
def photo_outside_the_folder(d: DataSet) -> Any:
    image = d.train["images"][1]
    d.photo(image).rename(d.folder / image["file_name"])
    image["file_name"] = f"../{image['file_name']}"
    return image["id"]


@plant("not_coco", "unknown_category")
def no_categories(d: DataSet) -> Any:
    for tree in (d.train, d.val):
        del tree["categories"]


@plant("no_photos", "unknown_image")
def no_images(d: DataSet) -> Any:
    d.val["images"] = []


@plant("no_annotations")
def no_instances(d: DataSet) -> Any:
    d.val["annotations"] = []


@pytest.mark.parametrize("name", PLANTS)
def test_a_fault_is_found_at_its_place_and_not_in_the_cleaned_copy(name: str, data: DataSet) -> None:
    kind, put, also = PLANTS[name]
    named = put(data)
    diagnosis = data.examine()
    assert {f.kind for f in diagnosis.findings} == {kind} | also
    found = [f for f in diagnosis.findings if f.kind == kind]
    if named is not None:
        places = [
            f.location.annotation_id if f.location.section == "annotations" else f.location.image_id for f in found
        ]
        assert named in places
    if kind not in {
        "id_not_whole",
        "category_below_one",
        "classes_from_zero",
        "all_crowd",
        "unknown_category",
        "unknown_image",
        "not_coco",
    }:
        assert len({(f.location.section, f.location.row) for f in found}) <= 2
    cleaned = write_cleaned(diagnosis, data.folder.parent / "clean")
    again = examine([cleaned.folder], min_instances=0)
    assert [f for f in again.findings if f.severity == Severity.ERROR] == []


@pytest.mark.parametrize("kind", ["too_few_instances", "class_imbalance"])
def test_too_few_instances_and_imbalance(kind: str, sample_set: Path, open_set: Callable[[Path], Any]) -> None:
    tree = open_set(sample_set)
    folder = sample_set.parent / kind
    (folder / "annotations").mkdir(parents=True)
    try:
        (folder / "images").symlink_to(sample_set / "images")
    except OSError as error:  # Windows needs a privilege for it
        pytest.skip(f"no symbolic links here: {error}")
    jeans = [a for a in tree.train["annotations"] if a["category_id"] == 3]
    tree.train["annotations"] = [a for a in tree.train["annotations"] if a["category_id"] != 3 or a in jeans[:3]]
    tree.folder = folder
    tree.save()
    found = examine([folder]).findings
    assert {f.kind for f in found} == {"too_few_instances", "class_imbalance"}
    assert all("'Jeans'" in f.message for f in found)


def test_few_instances_in_one_file_are_counted_once_under_the_name_of_the_file(
    sample_set: Path, open_set: Callable[[Path], Any]
) -> None:
    tree = open_set(sample_set).train
    tree["categories"][2]["name"] = " Blue Jeans"
    alone = sample_set.parent / "alone.json"
    alone.write_text(json.dumps(tree))
    number = sum(not a["iscrowd"] for a in tree["annotations"] if a["category_id"] == tree["categories"][2]["id"])
    found = examine([alone], [sample_set / "images"], min_instances=number + 1).findings
    message = f"'Blue Jeans' has {number} instances; required: {number + 1}"
    assert message in [f.message for f in found if f.kind == "too_few_instances"]


def test_the_sample_has_no_findings(sample_set: Path) -> None:
    diagnosis = examine([sample_set])
    assert diagnosis.findings == ()
    photos = sum(len(split.images) for split in diagnosis.splits)
    assert repr(diagnosis) == f"Diagnosis(2 files, {photos} photos, 0 errors, 0 warnings)"


def test_every_kind_is_planted() -> None:
    planted = {kind for kind, _, _ in PLANTS.values()} | {"too_few_instances", "class_imbalance"}
    also = {kind for _, _, others in PLANTS.values() for kind in others}
    assert planted | also == KINDS.keys()


def test_every_kind_is_in_the_table_of_the_docs() -> None:
    page = (Path(__file__).parents[3] / "docs" / "doctor.md").read_text()
    for name, kind in KINDS.items():
        line = next(line for line in page.splitlines() if f"`{name}`" in line and line.startswith("|"))
        severity = line.split("|")[2].split()
        assert severity[0] == ("E" if kind.severity == Severity.ERROR else "W")
        assert severity[1:] == (["C"] if name in CORRECTED else []), name
