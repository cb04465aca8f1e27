"""Photos, classes, splits and the files of an imported dataset."""

import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import label_files
import numpy as np
import pytest
import yaml
from label_files import objects_of, write_labelme, write_photo
from PIL import Image, ImageOps

from clothseg.dataset import CocoLikeDataset
from clothseg.dataset.doctor import Severity, examine
from clothseg.dataset.importing import ImportOptions, import_dataset
from clothseg.errors import ClothsegError, DataError

SIZE = (30, 40)
MASK = np.zeros(SIZE, dtype=bool)
MASK[4:20, 5:25] = True
TRUTH = {stem: [("Dress" if n % 2 else "Jeans", MASK)] for n, stem in enumerate("abcdefghij")}


def photos_in(folder: Path, split: str) -> set[str]:
    tree = json.loads((folder / "annotations" / f"{split}.json").read_text())
    return {row["file_name"] for row in tree["images"]}


def test_the_dataset_is_one_that_all_commands_read(tmp_path: Path) -> None:
    write_labelme(tmp_path / "in", TRUTH)
    summary = import_dataset(tmp_path / "in", tmp_path / "out")
    assert summary.classes == ("Dress", "Jeans")
    assert (summary.splits["train"].photos, summary.splits["val"].photos) == (8, 2)
    assert {row.name for row in (tmp_path / "out").iterdir()} == {"images", "annotations", "dataset.yaml"}
    loaded = CocoLikeDataset().load_data(tmp_path / "out", "val").prepare()
    assert loaded.load_image(0).shape == (*SIZE, 3)
    assert examine([tmp_path / "out"]).count(Severity.ERROR) == 0
    for path in (tmp_path / "out" / "images").iterdir():
        assert path.read_bytes() == (tmp_path / "in" / path.name).read_bytes()
    described = yaml.safe_load((tmp_path / "out" / "dataset.yaml").read_text())
    assert described["sources"]["format"] == "labelme"
    assert described["counts"]["train"]["masks"] == 8
    assert str(tmp_path) not in (tmp_path / "out" / "dataset.yaml").read_text()


def test_the_split_is_stratified_and_keeps_near_duplicates_together(tmp_path: Path) -> None:
    write_labelme(tmp_path / "in", TRUTH)
    for number in range(4):  # resaved copies of one photo
        picture = Image.open(tmp_path / "in" / "a.jpg")
        picture.save(tmp_path / "in" / f"copy{number}.jpg", quality=60 + 8 * number)
        tree = json.loads((tmp_path / "in" / "a.json").read_text()) | {"imagePath": f"copy{number}.jpg"}
        (tmp_path / "in" / f"copy{number}.json").write_text(json.dumps(tree))
    for seed in range(3):
        options = ImportOptions(val_fraction=0.4, seed=seed, overwrite=True)
        summary = import_dataset(tmp_path / "in", tmp_path / "out", options)
        copies = {"a.jpg", *(f"copy{number}.jpg" for number in range(4))}
        train, val = photos_in(tmp_path / "out", "train"), photos_in(tmp_path / "out", "val")
        assert copies <= train or copies <= val
        assert len(summary.near_duplicates) == 4, "as many pairs as connect five photos"
        assert all(summary.splits[split].class_masks[name] for split in ("train", "val") for name in summary.classes)


def test_classes_are_chosen_renamed_and_joined(tmp_path: Path) -> None:
    masks = [(name, MASK) for name in ("dress", "gown", "hat")]
    write_labelme(tmp_path / "in", {"a": masks, "b": masks, "c": [("hat", MASK)]})
    options = ImportOptions(classes={"gown": "Dress", "dress": "Dress"})
    summary = import_dataset(tmp_path / "in", tmp_path / "out", options)
    assert summary.classes == ("Dress",)
    assert summary.reasons() == {"other_class": 3}
    assert {stem: len(rows) for stem, rows in objects_of(tmp_path / "out").items()} == {"a": 2, "b": 2, "c": 0}
    with pytest.raises(DataError, match=r"no class 'coat' in the labels; they have dress, gown, hat"):
        import_dataset(tmp_path / "in", tmp_path / "other", ImportOptions(classes={"coat": "Coat"}))
    assert not (tmp_path / "other").exists()


def test_photos_without_labels_are_left_out_unless_asked_for(tmp_path: Path) -> None:
    write_labelme(tmp_path / "in", TRUTH)
    label_files.write_labelme_file(tmp_path / "in" / "empty.json", SIZE, [])
    write_photo(tmp_path / "in" / "empty.jpg", SIZE, seed=50)
    write_photo(tmp_path / "in" / "new.jpg", SIZE, seed=51)
    summary = import_dataset(tmp_path / "in", tmp_path / "out")
    assert summary.reasons() == {"not_labelled": 1}
    assert objects_of(tmp_path / "out")["empty"] == []
    kept = import_dataset(tmp_path / "in", tmp_path / "kept", ImportOptions(keep_unlabelled=True))
    assert kept.reasons() == {}
    assert objects_of(tmp_path / "kept")["new"] == []


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("labels", ["upright", "stored"])
def test_masks_follow_the_photo(labels: str, orientation: int, tmp_path: Path) -> None:
    """Labels of the stored size are turned with the photo, as Pillow turns it."""
    stored = np.zeros(SIZE, dtype=bool)
    stored[3:9, 5:30] = stored[3:20, 5:9] = True
    picture = Image.fromarray(stored.astype(np.uint8))
    picture.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(picture)).astype(bool)
    mask = upright if labels == "upright" or orientation < 5 else stored
    write_labelme(tmp_path / "in", {"a": [("Dress", mask)], "b": [("Dress", mask)]})
    for name in ("a", "b"):
        write_photo(tmp_path / "in" / f"{name}.jpg", SIZE, seed=ord(name), orientation=orientation)
    summary = import_dataset(tmp_path / "in", tmp_path / "out")
    assert summary.failed == ()
    assert summary.turned == (2 if mask is stored and orientation >= 5 else 0)
    assert objects_of(tmp_path / "out")["a"] == [("Dress", upright.tobytes())]
    loaded = CocoLikeDataset().load_data(tmp_path / "out").prepare()
    assert loaded.load_image(0).shape[:2] == upright.shape


def test_photos_of_one_name_in_several_folders(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write_labelme(tmp_path / "in" / folder, {"a": [("Dress", MASK)]})
    write_photo(tmp_path / "in" / "two" / "a.jpg", SIZE, seed=9)
    import_dataset(tmp_path / "in", tmp_path / "out")
    tree = [json.loads((tmp_path / "out" / "annotations" / f"{s}.json").read_text()) for s in ("train", "val")]
    rows = {row["source_name"]: row["file_name"] for part in tree for row in part["images"]}
    assert set(rows.values()) == {"a.jpg", "a-2.jpg"}
    for source, name in rows.items():
        assert (tmp_path / "in" / source).read_bytes() == (tmp_path / "out" / "images" / name).read_bytes()


def test_embedded_photos_and_foreign_paths_of_labelme(tmp_path: Path) -> None:
    import base64

    write_labelme(tmp_path / "in", {"a": [("Dress", MASK)], "b": [("Dress", MASK)]})
    content = (tmp_path / "in" / "a.jpg").read_bytes()
    (tmp_path / "in" / "a.jpg").unlink()
    path = tmp_path / "in" / "a.json"
    tree = json.loads(path.read_text()) | {"imageData": base64.b64encode(content).decode()}
    path.write_text(json.dumps(tree | {"imagePath": "D:\\photos\\a.jpg"}))
    (tmp_path / "in" / "photos").mkdir()
    shutil.move(tmp_path / "in" / "b.jpg", tmp_path / "in" / "photos" / "b.jpg")
    other = tmp_path / "in" / "b.json"
    other.write_text(json.dumps(json.loads(other.read_text()) | {"imagePath": "photos\\b.jpg"}))
    summary = import_dataset(tmp_path / "in", tmp_path / "out")
    assert summary.failed == ()
    assert (tmp_path / "out" / "images" / "a.jpg").read_bytes() == content


def test_links_share_the_file_and_an_unreadable_photo_stays(tmp_path: Path) -> None:
    write_labelme(tmp_path / "in", TRUTH)
    (tmp_path / "in" / "b.jpg").write_bytes(b"not a photo")
    summary = import_dataset(tmp_path / "in", tmp_path / "out", ImportOptions(hard_links=True))
    assert [d.reason for d in summary.failed] == ["unreadable_photo"]
    assert (tmp_path / "in" / "a.jpg").samefile(tmp_path / "out" / "images" / "a.jpg")
    assert (tmp_path / "in" / "b.jpg").read_bytes() == b"not a photo"
    assert not (tmp_path / "out" / "images" / "b.jpg").exists()


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    write_labelme(tmp_path / "in", TRUTH)

    def stop(photos: Iterable[Any], count: int, text: str) -> Iterator[Any]:
        for number, photo in enumerate(photos):
            if number == 4:
                raise KeyboardInterrupt
            yield photo

    before = sorted(path.name for path in tmp_path.rglob("*"))
    with pytest.raises(KeyboardInterrupt):
        import_dataset(tmp_path / "in", tmp_path / "out", progress=stop)
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_what_is_not_a_dataset_is_never_replaced(tmp_path: Path) -> None:
    write_labelme(tmp_path / "in", TRUTH)
    for out in (tmp_path / "in", tmp_path):
        with pytest.raises(ClothsegError, match="among the inputs"):
            import_dataset(tmp_path / "in", out, ImportOptions(overwrite=True))
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.txt").touch()
    with pytest.raises(ClothsegError, match=r"no dataset\.yaml"):
        import_dataset(tmp_path / "in", tmp_path / "work", ImportOptions(overwrite=True))


def test_nothing_but_boxes_is_a_dataset(tmp_path: Path) -> None:
    for seed, stem in enumerate("ab"):
        write_photo(tmp_path / "in" / "images" / f"{stem}.jpg", SIZE, seed=seed)
        (tmp_path / "in" / "labels").mkdir(exist_ok=True)
        (tmp_path / "in" / "labels" / f"{stem}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "in" / "classes.txt").write_text("Dress\n")
    summary = import_dataset(tmp_path / "in", tmp_path / "out")
    train = summary.splits["train"]
    assert (train.boxes, train.masks, train.negatives) == (1, 0, 0)
    assert summary.rows()[-1] == ("all", "1", "1", "1", "1")
    found = CocoLikeDataset().load_data(tmp_path / "out").prepare().load_instances(0)
    assert found.has_mask.tolist() == [False] and found.boxes.tolist() == [[10, 8, 30, 23]]
