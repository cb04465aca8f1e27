"""Results that `predict` wrote, matched with a ground truth by the names of photos and classes."""

import json
import random
from pathlib import Path

import pytest

from clothseg.errors import DataError
from clothseg.evaluation import compare_runs, evaluate_coco
from clothseg.evaluation.predicted_files import read_results_for
from clothseg.evaluation.truth import read_truth

from .conftest import Tree, generated


@pytest.fixture
def truth() -> Tree:
    tree = generated(4, photos=12)[0]
    for image in tree["images"]:
        image["file_name"] = f"{image['id']:03d} é.jpg"
    return tree


def predicted(folder: Path, truth: Tree, prefix: str = "photos/") -> Path:
    """The results for `truth`, as `predict` would number them: photos in another order, other class numbers."""
    rng = random.Random(7)
    images, categories = truth["images"][:], truth["categories"][:]
    rng.shuffle(images)
    rng.shuffle(categories)
    photos = {image["id"]: number for number, image in enumerate(images, 1)}
    classes = {category["id"]: number for number, category in enumerate(categories, 1)}
    folder.mkdir()
    rows = [
        row | {"image_id": photos[row["image_id"]], "category_id": classes[row["category_id"]]}
        for row in generated(4, photos=12)[1]
        if row["image_id"] in photos
    ]
    (folder / "predictions.json").write_text(json.dumps(rows))
    listed = [{"id": photos[i["id"]], "file_name": prefix + i["file_name"]} for i in images]
    named = [{"id": classes[c["id"]], "name": c["name"]} for c in categories]
    (folder / "images.json").write_text(json.dumps({"images": listed, "categories": named}))
    return folder / "predictions.json"


def change(path: Path, edit: str, *values: object) -> None:
    """Changes `images.json` beside the results: `rename NUMBER NAME`, `add NAME`, `classes NAMES`."""
    listed = path.with_name("images.json")
    tree = json.loads(listed.read_text())
    if edit == "rename":
        next(image for image in tree["images"] if image["id"] == values[0])["file_name"] = values[1]
    elif edit == "add":
        tree["images"].append({"id": 99, "file_name": values[0]})
    else:
        for category, name in zip(tree["categories"], values, strict=False):
            category["name"] = name
    listed.write_text(json.dumps(tree))


@pytest.mark.parametrize("prefix", ["", "photos/", "/home/me/my photos/", "C:\\Users\\me\\photos\\"])
def test_other_numbers_of_photos_and_classes_give_the_same_metrics(tmp_path: Path, truth: Tree, prefix: str) -> None:
    known = read_truth(truth)
    found = read_results_for(predicted(tmp_path / "found", truth, prefix), known)
    assert found.notes == ()
    expected = evaluate_coco(truth, generated(4, photos=12)[1], resamples=0)
    assert evaluate_coco(known, found.rows, resamples=0).overall == expected.overall
    assert expected.overall["mask_AP"] not in (None, 0.0, 1.0)


def test_rows_in_another_form_are_matched_too(tmp_path: Path, truth: Tree) -> None:
    """Such as masks as run lengths that are not compressed, after a change by another program."""
    path = predicted(tmp_path / "found", truth)
    expected = [*read_results_for(path, read_truth(truth)).rows]
    rows = json.loads(path.read_text())
    path.write_text(json.dumps([row | {"segmentation": None} for row in rows]))
    found = read_results_for(path, read_truth(truth)).rows
    assert found == [row | {"segmentation": None} for row in expected]
    path.write_text("[]")
    assert [*read_results_for(path, read_truth(truth)).rows] == []


@pytest.mark.parametrize("row", [{}, 7, {"image_id": 1}, {"image_id": "1", "category_id": 1}])
def test_a_row_without_numbers_is_named(tmp_path: Path, truth: Tree, row: object) -> None:
    path = predicted(tmp_path / "found", truth)
    path.write_text(json.dumps([*json.loads(path.read_text())[:2], row]))
    with pytest.raises(DataError, match=r"predictions\.json: result 2 has no image_id and category_id"):
        read_results_for(path, read_truth(truth))


@pytest.mark.parametrize(("key", "thing"), [("image_id", "photo"), ("category_id", "class")])
def test_a_number_that_is_not_listed_is_an_error(tmp_path: Path, truth: Tree, key: str, thing: str) -> None:
    path = predicted(tmp_path / "found", truth)
    rows = json.loads(path.read_text())
    path.write_text(json.dumps([*rows, rows[0] | {key: 77}]))
    with pytest.raises(DataError, match=rf"a detection of {thing} 77, which .*images\.json does not have"):
        read_results_for(path, read_truth(truth))


def test_results_of_other_programs_keep_their_numbers(tmp_path: Path, truth: Tree) -> None:
    rows = generated(4, photos=12)[1]
    (tmp_path / "predictions.json").write_text(json.dumps(rows))
    assert [*read_results_for(tmp_path / "predictions.json", read_truth(truth)).rows] == rows
    (tmp_path / "images.json").write_text("{}")
    (tmp_path / "results.json").write_text(json.dumps(rows))
    assert [*read_results_for(tmp_path / "results.json", read_truth(truth)).rows] == rows


def test_photos_of_one_side_only_are_counted(tmp_path: Path, truth: Tree) -> None:
    path = predicted(tmp_path / "found", truth)
    fewer = truth | {"images": truth["images"][3:]}
    fewer["annotations"] = [a for a in truth["annotations"] if a["image_id"] in {i["id"] for i in fewer["images"]}]
    rows = generated(4, photos=12)[1]
    own = [row for row in rows if row["image_id"] in {image["id"] for image in fewer["images"]}]
    found = read_results_for(path, read_truth(fewer))
    assert evaluate_coco(fewer, found.rows, resamples=0).overall == evaluate_coco(fewer, own, resamples=0).overall
    outside = {row["image_id"] for row in rows} - {image["id"] for image in fewer["images"]}
    left_out = f"Detections on {len(outside)} photos that the ground truth does not have are left out: "
    assert found.notes == (f"{left_out}{len(rows) - len(own)}.",)
    more = truth | {"images": [*truth["images"], truth["images"][0] | {"id": 500, "file_name": "new.jpg"}]}
    notes = read_results_for(path, read_truth(more)).notes
    assert notes == ("No detections were made on 1 photo of the ground truth; objects there count as missed.",)


def test_classes_are_matched_by_name(tmp_path: Path, truth: Tree) -> None:
    path = predicted(tmp_path / "found", truth)
    change(path, "classes", "Hat")
    hat = json.loads(path.with_name("images.json").read_text())["categories"][0]["id"]
    rows = json.loads(path.read_text())
    left_out = sum(row["category_id"] == hat for row in rows)
    found = read_results_for(path, read_truth(truth))
    assert len(found.rows) == len(rows) - left_out
    assert found.notes == (
        f"Detections of classes that the ground truth does not have are left out: {left_out} (Hat).",
    )
    change(path, "classes", *("Hat", "Scarf", "Glove", "Belt", "Sock"))
    with pytest.raises(DataError, match=r"it has no class of the ground truth; there they are .*, and here Hat, "):
        read_results_for(path, read_truth(truth))


@pytest.mark.parametrize("edit", ["photos", "classes"])
def test_nothing_found_that_the_ground_truth_has_is_no_detection(tmp_path: Path, truth: Tree, edit: str) -> None:
    path, known = predicted(tmp_path / "found", truth), read_truth(truth)
    listed = json.loads(path.with_name("images.json").read_text())
    key, kept = ("images", "image_id") if edit == "photos" else ("categories", "category_id")
    first = listed[key][0]["id"]
    path.write_text(json.dumps([row for row in json.loads(path.read_text()) if row[kept] != first]))
    for row in listed[key][1:]:
        row["file_name" if edit == "photos" else "name"] = f"other {row['id']}"
    path.with_name("images.json").write_text(json.dumps(listed))
    metrics = evaluate_coco(known, read_results_for(path, known).rows, resamples=20)
    assert metrics.overall == evaluate_coco(known, [], resamples=20).overall
    assert metrics.detections == 0 and "There are no detections, so metrics are 0." in metrics.notes


def test_a_photo_in_a_subfolder_is_found_by_its_whole_name(tmp_path: Path, truth: Tree) -> None:
    """Two photos have one name; only the folder tells them apart."""
    first, second = truth["images"][:2]
    first["file_name"], second["file_name"] = "a/1.jpg", "b/1.jpg"
    path = predicted(tmp_path / "found", truth)
    found = read_results_for(path, read_truth(truth))
    expected = evaluate_coco(truth, generated(4, photos=12)[1], resamples=0)
    assert evaluate_coco(truth, found.rows, resamples=0).overall == expected.overall


def test_photos_that_can_be_the_same_one_are_refused(tmp_path: Path, truth: Tree) -> None:
    path = predicted(tmp_path / "found", truth)
    change(path, "add", "other/003 é.jpg")
    with pytest.raises(DataError, match=r"photos/003 é\.jpg and other/003 é\.jpg can both be the photo 003 é\.jpg"):
        read_results_for(path, read_truth(truth))


def test_photos_of_another_dataset_are_refused(tmp_path: Path, truth: Tree) -> None:
    path = predicted(tmp_path / "found", truth)
    others = truth | {"images": [image | {"file_name": f"x{image['id']}.jpg"} for image in truth["images"]]}
    with pytest.raises(DataError, match=r"images\.json, .*: it has no photo of the ground truth; the first there is x"):
        read_results_for(path, read_truth(others))


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", "[" * 9000, '{"images": 1, "categories": []}'),
        '{"images": [{"id": "a", "file_name": "b"}]}',
        '{"images": [{"id": 1e400, "file_name": "b"}]}',
        '{"images": [{"id": 99999999999999999999, "file_name": 1}]}',
    ],
)
def test_a_broken_list_of_photos_is_named(tmp_path: Path, truth: Tree, text: str) -> None:
    path = predicted(tmp_path / "found", truth)
    path.with_name("images.json").write_text(text)
    with pytest.raises(
        DataError, match=r"images\.json: it should have the names .* run `clothseg predict` again"
    ) as caught:
        read_results_for(path, read_truth(truth))
    assert len(str(caught.value)) < 1000


def test_what_predict_wrote_is_compared_with_a_run(tmp_path: Path, truth: Tree) -> None:
    path = predicted(tmp_path / "found", truth)
    change(path, "rename", json.loads(path.read_text())[0]["image_id"], "gone.jpg")
    (tmp_path / "val.json").write_text(json.dumps(truth))
    (tmp_path / "all.json").write_text(json.dumps(generated(4, photos=12)[1]))
    found = compare_runs(path, tmp_path / "all.json", tmp_path / "val.json", resamples=10)
    assert found.notes[0].startswith("A: Detections on 1 photo that the ground truth does not have are left out: ")
    assert found.notes[1] == "A: No detections were made on 1 photo of the ground truth; objects there count as missed."
    assert found.differences["mask_AP"].change > 0
