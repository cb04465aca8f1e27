"""Labels from another tool, from `fit` to `cutout`: one file that is split, unusual class names, corrections."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clothseg.dataset import CocoLikeDataset
from clothseg.dataset.photo_split import read_photo_split
from clothseg.evaluation import Metrics
from clothseg.runs import RunFolder

from .conftest import TINY, RunCommand

SETTINGS = [
    *TINY,
    *("weights=random", "train.epochs=1", "train.steps_per_epoch=2", "train.batch_size=2", "train.workers=0"),
]


def write(folder: Path, names: list[str], photos: int = 10, **changes: Any) -> Path:
    """An export with one file, and an object of each class on each photo; `iscrowd` is null, as some tools write it."""
    tree: dict[str, Any] = {"images": [], "annotations": [], "categories": []}
    tree["categories"] = [{"id": n, "name": name} for n, name in enumerate(names, 1)]
    for photo in range(photos):
        noise = np.random.default_rng(photo).integers(0, 255, (8, 6, 3), dtype=np.uint8)
        (folder / "images").mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise).resize((64, 96), Image.Resampling.BICUBIC).save(folder / "images" / f"{photo}.png")
        tree["images"].append({"id": photo, "file_name": f"{photo}.png", "height": 96, "width": 64})
        for class_id in range(1, len(names) + 1):
            x, y = 4 + 18 * (class_id % 3), 6 + 20 * class_id
            box = [x, y, 16, 18]
            polygon = [x, y, x + 16, y, x + 16, y + 18, x, y + 18]
            row = {"id": len(tree["annotations"]), "image_id": photo, "category_id": class_id, "iscrowd": None}
            tree["annotations"].append(row | {"segmentation": [polygon], "bbox": box, "area": 288})
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    (folder / "annotations" / "instances_default.json").write_text(json.dumps(tree | changes))
    return folder


def settings() -> list[str]:
    return [word for setting in SETTINGS for word in ("--set", setting)]


def test_one_file_with_unusual_names_works_to_the_end(
    tmp_path: Path, run_command: RunCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = write(tmp_path / "export", ["background", "shirt, blouse", "Öltöny"]), tmp_path / "run"
    assert run_command("fit", data, "--out", out, *settings()) == 2
    assert "only one annotation file (instances_default.json); add --val-fraction 0.2" in capsys.readouterr().err
    assert not out.exists()
    assert run_command("fit", data, "--out", out, "--val-fraction", "0.3", *settings()) == 0
    assert "rows without bbox, area or iscrowd (30)" in (out / "log.txt").read_text()
    split = read_photo_split(RunFolder(out).split)
    assert split is not None
    assert len(split.train) == 7
    assert sorted([*split.train, *split.val]) == list(range(10))

    assert run_command("fit", data, "--out", out, "--more-epochs", "1", "--quiet") == 0
    assert read_photo_split(RunFolder(out).split) == split

    capsys.readouterr()
    assert run_command("evaluate", out, data) == 0
    shown = capsys.readouterr()
    assert "corrected: rows without bbox, area or iscrowd (30)" in shown.err
    metrics = Metrics.from_json((out / "metrics.json").read_text())
    assert metrics.photos == 3
    assert list(metrics.classes) == ["background", "shirt, blouse", "Öltöny"]
    found = {row["image_id"] for row in json.loads((out / "predictions.json").read_text())}
    assert found <= set(split.val)
    assert "shirt, blouse" in (out / "report.html").read_text()
    last = [line.split() for line in shown.out.splitlines() if line.strip().startswith("nothing there")]
    assert len(last) == 1
    missed = [line for line in shown.out.splitlines() if line.strip().startswith("background ")]
    assert any(line.split()[-1].isdigit() for line in missed)

    assert run_command("compare", out, out, "--resamples", "100") == 0
    photo = data / "images" / "0.png"
    words = ("--class", "shirt, blouse", "--class", "background", "--score-threshold", "0")
    assert run_command("cutout", out, photo, "--out", tmp_path / "cut", *words) in (0, 1)
    assert run_command("predict", out, photo, "--out", tmp_path / "found", "--threshold", "shirt, blouse=0.1") == 0
    names = [c["name"] for c in json.loads((tmp_path / "found" / "images.json").read_text())["categories"]]
    assert names == ["background", "shirt, blouse", "Öltöny"]
    assert run_command("predict", out, data, "--out", tmp_path / "all", "--labels", "coco", "--format", "coco") == 0
    listed = [image["file_name"] for image in json.loads((tmp_path / "all" / "labels-coco.json").read_text())["images"]]
    assert listed == [f"{n}.png" for n in range(10)]


def test_places_that_need_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_command: RunCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run is called like its dataset and knows it; an existing one is not overwritten."""
    write(tmp_path / "my clothes", ["Suit", "Dress"])
    monkeypatch.chdir(tmp_path)
    assert run_command("fit", "my clothes", "--val-fraction", "0.3", *settings()) == 0
    assert (tmp_path / "runs" / "my clothes" / "weights.safetensors").is_file()
    assert "next: clothseg evaluate 'runs/my clothes' 'my clothes'" in capsys.readouterr().err
    assert run_command("fit", "my clothes", "--val-fraction", "0.3", *settings()) == 2
    assert "runs/my clothes exists already" in capsys.readouterr().err
    assert run_command("evaluate", "runs/my clothes") == 0
    own = (tmp_path / "runs" / "my clothes" / "predictions.json").read_bytes()
    assert run_command("evaluate", "runs/my clothes", "my clothes") == 0
    assert (tmp_path / "runs" / "my clothes" / "predictions.json").read_bytes() == own
    assert run_command("dataset", "build", "sample") == 0
    assert (tmp_path / "data" / "sample" / "annotations" / "train.json").is_file()
    results = tmp_path / "runs" / "my clothes" / "predictions.json"
    assert run_command("evaluate", results) == 2
    assert "a results file does not say which photos it is about" in capsys.readouterr().err


@pytest.mark.parametrize(
    "file",
    ["annotations/instances_train.json", "train/_annotations.coco.json", "annotations/test.json"],
)
def test_a_run_that_split_a_file_of_any_name_is_evaluated_on_its_own_photos(
    tmp_path: Path, run_command: RunCommand, file: str
) -> None:
    """`fit` ends with `next: clothseg evaluate RUN DATA`, so this works, also if the only file is called train."""
    data, out = write(tmp_path / "export", ["Suit", "Dress"]), tmp_path / "run"
    (data / file).parent.mkdir(parents=True, exist_ok=True)
    (data / "annotations" / "instances_default.json").rename(data / file)
    if file.startswith("train/"):
        (data / "images").rename(data / "train" / "images")
    name = ("--split", "test") if "test" in file else ()
    assert run_command("fit", data, "--out", out, "--val-fraction", "0.3", *name, *settings()) == 0
    split = read_photo_split(RunFolder(out).split)
    assert split is not None
    assert run_command("evaluate", out, data) == 0
    metrics = Metrics.from_json((out / "metrics.json").read_text())
    assert metrics.photos == 3
    assert {row["image_id"] for row in json.loads((out / "predictions.json").read_text())} <= set(split.val)
    page = (out / "report.html").read_text()
    assert "Predictions beside the ground truth" in page
    assert 'id="samples"' in page  # the training photos, which are in the same file
    assert run_command("compare", out, out, "--resamples", "100") == 0
    other = shutil.copytree(out, tmp_path / "other")
    assert run_command("compare", out, other, "--out", tmp_path / "page.html", "--no-speed", "--no-group") == 0


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["Suit", "suit"], "two classes are called 'Suit' and 'suit'"),
        (["Suit", "Suit"], "two classes are called 'Suit'"),
        (["Suit", "Su it", "su  IT "], "two classes are called 'Su it' and 'su IT'"),
        (["Suit", " "], "must not be empty"),
        (["Suit", "a\x07b"], "control character"),
    ],
)
@pytest.mark.parametrize("command", ["fit", "show", "evaluate", "check"])
def test_names_that_could_not_be_told_apart_are_refused_before_the_work(
    names: list[str],
    message: str,
    command: str,
    tmp_path: Path,
    run_command: RunCommand,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = write(tmp_path / "export", names, photos=2)
    (tmp_path / "results.json").write_text("[]")
    words = {
        "fit": ("fit", data, "--out", tmp_path / "run", "--val-fraction", "0.5", *settings()),
        "show": ("dataset", "show", data, "--out", tmp_path / "look"),
        "evaluate": ("evaluate", tmp_path / "results.json", data),
        "check": ("dataset", "check", data, "--json"),
    }[command]
    assert run_command(*words) == (1 if command == "check" else 2)
    shown = capsys.readouterr()
    assert message in (shown.out if command == "check" else shown.err)
    assert not (tmp_path / "run").exists()


def test_the_same_photos_for_training_and_validation_are_refused(tmp_path: Path) -> None:
    from clothseg.config import Config
    from clothseg.errors import DataError
    from clothseg.training import check_datasets

    data = write(tmp_path / "export", ["Suit"])
    train, val = (CocoLikeDataset().load_data(data, split).prepare() for split in ("train", "val"))
    with pytest.raises(DataError, match="the same photos are in train and in val"):
        check_datasets(train, val, Config.load("demo"))


def test_show_takes_names_with_commas(
    tmp_path: Path, run_command: RunCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = write(tmp_path / "export", ["shirt, blouse", "Suit", "Hat"], photos=2), tmp_path / "look"
    assert run_command("dataset", "show", data, "--out", out, "--classes", "Suit,shirt, blouse") == 0
    assert "corrected: rows without" in capsys.readouterr().err
    sheets = sorted(path.name for path in out.glob("class-*.png"))
    assert sheets == ["class-1-shirt-blouse.png", "class-2-suit.png"]


def test_what_predict_found_has_the_metrics_of_evaluate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_command: RunCommand
) -> None:
    """`predict` numbers the photos of both splits itself, and the network has other classes than the dataset."""
    monkeypatch.chdir(tmp_path)
    assert run_command("dataset", "build", "sample", "--classes", "Jeans,Dress", "--limit", 4, "--out", "data") == 0
    assert run_command("evaluate", "garments", "data") == 0
    assert run_command("predict", "garments", "data/images", "--out", "found", "--no-gallery", "--format", "coco") == 0
    assert run_command("evaluate", "found/predictions.json", "data", "--out", "scores.json") == 0
    expected, found = (Metrics.from_json(Path(file).read_text()) for file in ("garments/metrics.json", "scores.json"))
    assert found.overall == expected.overall
    assert found.detections == expected.detections
    assert expected.overall["mask_AP"] not in (None, 0.0)
    assert len(found.notes) == len(expected.notes) + 2  # detections on train photos, and of other garments
