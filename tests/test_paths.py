"""What a path is: folders as other tools write them, and what the messages advise."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clothseg import sample
from clothseg.errors import DataError
from clothseg.paths import PathKind, Wanted, classify_path, explain_wrong_path, require_path
from clothseg.suggestions import did_you_mean, near_path, nearest

FILES: dict[PathKind, dict[str, str]] = {
    PathKind.YOLO: {
        "data.yaml": "names: [Suit]\n",
        "images/train/a.jpg": "",
        "notes.json": '{"categories": [{"id": 0, "name": "Suit"}], "info": {"contributor": "Label Studio"}}',
        "labels/train/a.txt": "0 0.1 0.1 0.9 0.1 0.9 0.9\n0 0.2 0.2 0.3 0.3 0.1 0.2\n",
    },
    PathKind.LABELME: {"a.jpg": "", "a.json": '{"version": "5.2.1", "flags": {}, "shapes": [], "imagePath": "a.jpg"}'},
    PathKind.CVAT: {"images/a.jpg": "", "annotations.xml": '<?xml version="1.0"?>\n<annotations>\n  <version>1.1'},
    PathKind.VOC: {
        "JPEGImages/a.jpg": "",
        "Annotations/a.xml": "<annotation>\n<folder>VOC</folder>",
        "SegmentationObject/a.png": "",
    },
    PathKind.SUPERVISELY: {
        "meta.json": '{"classes": [{"title": "Suit", "shape": "polygon"}], "tags": []}',
        "ds/ann/a.jpg.json": '{"description": "", "tags": [], "size": {"height": 4}, "objects": []}',
        "ds/img/a.jpg": "",
    },
    PathKind.LABEL_STUDIO: {"export.json": '[{"id": 1, "annotations": [], "data": {"image": "a.jpg"}}]'},
    PathKind.MASKS: {"images/a.jpg": "", "masks/a.png": ""},
    PathKind.PHOTOS: {"a.jpg": "", "deep/b.PNG": "", "readme.txt": "Some photos.\n2024 was fine\n"},
    PathKind.FOLDER: {"notes.txt": "nothing"},
    PathKind.EMPTY: {},
    PathKind.DATASET: {"train/_annotations.coco.json": '{"info": {}, "images": []', "train/a.jpg": ""},
    PathKind.RUN: {"config.yaml": "", "history.csv": "epoch\n", "predictions.json": "[]"},
    PathKind.OPEN_IMAGES: {"class-descriptions-boxable.csv": "", "train/a.jpg": ""},
}


def written(root: Path, files: dict[str, str]) -> Path:
    root.mkdir()
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize("kind", FILES, ids=lambda kind: kind.name)
def test_a_folder_is_known_by_its_files(kind: PathKind, tmp_path: Path) -> None:
    assert classify_path(written(tmp_path / "folder", FILES[kind])) is kind


def test_supervisely_is_known_by_its_folders(tmp_path: Path) -> None:
    files = {"meta.json": '{"classes": []}', "ds/ann/a.jpg.json": "{}", "ds/img/a.jpg": ""}
    assert classify_path(written(tmp_path / "folder", files)) is PathKind.SUPERVISELY


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("val.json", '\ufeff{"images": []', PathKind.COCO),
        ("results.json", ' [{"image_id": 1', PathKind.RESULTS),
        ("notes.json", '{"categories": []}', PathKind.FILE),
        ("long.json", '{"categories": [' + '"x", ' * 2000, PathKind.COCO),
        ("metrics.json", '{"protocol": "COCO"', PathKind.FILE),
        ("net.pth", "", PathKind.WEIGHTS),
        ("net.onnx", "", PathKind.WEIGHTS),
        ("a.JPG", "", PathKind.PHOTO),
        ("a.mp4", "", PathKind.VIDEO),
        ("export.zip", "", PathKind.ARCHIVE),
        ("notes", "", PathKind.FILE),
        ("photos.txt", "a.jpg\nb.jpg\n", PathKind.TABLE),
        ("labels.csv", "photo,class\na.jpg,Suit\n", PathKind.TABLE),
        ("labels.txt", ' {"images": []', PathKind.FILE),
    ],
)
def test_a_file_is_known_by_its_name_and_start(name: str, text: str, kind: PathKind, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert classify_path(tmp_path / name) is kind


def test_what_is_not_there() -> None:
    assert classify_path("https://example.org/photos/") is PathKind.URL
    assert classify_path(Path("https://example.org/photos/")) is PathKind.URL
    assert classify_path("no/such/place") is PathKind.ABSENT
    assert classify_path("x" * 5000) is PathKind.ABSENT
    assert classify_path("zero\0byte") is PathKind.ABSENT


def test_what_clothseg_writes_is_accepted(tmp_path: Path) -> None:
    written(tmp_path / "data", {"annotations/train.json": '{"images": []', "images/a.jpg": "", "dataset.yaml": ""})
    assert explain_wrong_path(tmp_path / "data", Wanted.DATASET) == ""
    assert explain_wrong_path(sample.folder(), Wanted.OPEN_IMAGES) == ""


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (PathKind.PHOTOS, "--labels coco"),
        (PathKind.YOLO, "clothseg dataset import"),
        (PathKind.LABELME, "clothseg dataset import"),
        (PathKind.OPEN_IMAGES, "clothseg dataset build"),
        (PathKind.FOLDER, "annotations/train.json"),
        (PathKind.EMPTY, "an empty folder"),
    ],
)
def test_the_advice_for_a_dataset(kind: PathKind, words: str, tmp_path: Path) -> None:
    folder = written(tmp_path / "my folder", FILES[kind])
    with pytest.raises(DataError, match="my folder") as caught:
        require_path(folder, Wanted.DATASET)
    assert words in str(caught.value)
    assert kind.value in str(caught.value)


def test_the_right_folder_inside_is_named(tmp_path: Path) -> None:
    written(tmp_path / "runs", {"first/config.yaml": "", "first/log.txt": "", "first/images/a.jpg": ""})
    assert f"did you mean {tmp_path / 'runs' / 'first'}?" in explain_wrong_path(tmp_path / "runs", Wanted.RUN)


def test_near_names() -> None:
    assert nearest("dress", ["Suit", "Dress", "Jeans"]) == ["Dress"]
    assert did_you_mean("Dres", ["Suit", "Dress"]) == "did you mean Dress?"
    assert did_you_mean("x", ["Suit", "Dress"], otherwise="it has") == "it has Suit, Dress"


def test_near_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert near_path("first") == "; this folder is empty"
    (tmp_path / "runs" / "demo").mkdir(parents=True)
    (tmp_path / "runs" / "demo" / "metrics.json").touch()
    assert near_path("runs/dem") == f"; did you mean {Path('runs/demo')}?"
    assert near_path("run/demo/metrics.json") == f"; did you mean {Path('runs/demo/metrics.json')}?"
    assert "has demo" in near_path("runs/xyz")
    assert near_path("runs/demo/metrics.jsn").endswith("metrics.json?")
    assert near_path("abc/def/ghi") == "; there is no folder abc"
    root = Path(tmp_path.anchor)
    assert near_path(root / "wxyz-0").startswith(f"; {root} has ")


def test_a_large_folder_of_photos_is_classified_by_a_part_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(4000):
        (folder / f"{number:05}.jpg").touch()
    assert classify_path(folder) is PathKind.PHOTOS
    Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(folder / "a.png")
    (folder / "annotations").mkdir()
    (folder / "annotations" / "val.json").write_text(json.dumps({"images": []}))
    assert classify_path(folder) is PathKind.DATASET
