"""Photos that are broken in many ways: every command names them, does the others, and exits with 1."""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bad_photos import bad_photos, odd_photos, photo
from PIL import Image

from clothseg.config import Config
from clothseg.counting import counted
from clothseg.dataset import CocoLikeDataset, readable
from clothseg.dataset.readable import read_left_out
from clothseg.errors import DataError, PhotoError, UnreadPhotosError
from clothseg.evaluation import Metrics, evaluate_coco, evaluate_network, truth_of
from clothseg.models import MaskRCNN
from clothseg.photos import read_photo
from clothseg.prediction import OutputFormat
from clothseg.runs import RunFolder
from clothseg.training import read_checkpoint

from .conftest import TINY, RunCommand

SETTINGS = (*TINY, "train.epochs=1", "train.steps_per_epoch=6", "augment.fixed_views=1")
QUICK = [word for setting in SETTINGS for word in ("--set", setting)]
"""An epoch with every photo that can be read, four in a step."""


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("network") / "net.safetensors"
    MaskRCNN(Config.load("demo", TINY)).build(["Suit", "Dress"]).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> tuple[Path, list[str], list[str]]:
    """A folder of photos, the names of those that cannot be read, and of the others."""
    place = tmp_path / "photos"
    place.mkdir()
    bad, good = bad_photos(place), odd_photos(place)
    return place, bad, good


@pytest.fixture
def dataset(folder: tuple[Path, list[str], list[str]], tmp_path: Path) -> Path:
    """A dataset of these photos, all in each split, with one box on each."""
    place, bad, good = folder
    place.rename(tmp_path / "images")
    (tmp_path / "images" / "bad-size.png").write_bytes(photo(tmp_path / "other.png", 3, (100, 100)).read_bytes())
    bad.append("bad-size.png")
    good += [photo(tmp_path / "images" / f"plain{n}.jpg", n).name for n in range(len(bad))]
    names = sorted([*bad, *good])
    images = [{"id": n, "file_name": name, "width": 96, "height": 128} for n, name in enumerate(names, 1)]
    square = [[10, 10, 60, 10, 60, 90, 10, 90]]
    rows = [
        {"id": n, "image_id": n, "category_id": 1, "segmentation": square, "bbox": [10, 10, 50, 80], "area": 4000}
        for n in range(1, len(names) + 1)
    ]
    tree = {"images": images, "annotations": rows, "categories": [{"id": 1, "name": "Suit"}, {"id": 2, "name": "Hat"}]}
    (tmp_path / "annotations").mkdir()
    for split in ("train", "val"):
        (tmp_path / "annotations" / f"{split}.json").write_text(json.dumps(tree))
    return tmp_path


def named(error: str, names: list[str]) -> list[str]:
    """Of these files, those that a line of the error names."""
    return sorted(name for name in names if any(f"{name}:" in line for line in error.splitlines()))


@pytest.mark.parametrize("command", ["predict", "cutout"])
def test_the_other_photos_are_done(
    command: str,
    network: Path,
    folder: tuple[Path, list[str], list[str]],
    tmp_path: Path,
    run_command: RunCommand,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place, bad, good = folder
    words = ("--out", tmp_path / "out", "--score-threshold", 0)
    assert run_command(command, network, place, tmp_path / "absent.jpg", *words) == 1
    error = capsys.readouterr().err
    assert named(error, [*bad, "absent.jpg"]) == sorted([*bad, "absent.jpg"])
    assert named(error, good) == []
    done = " ".join(path.name for path in (tmp_path / "out").glob("*.png"))
    assert [name for name in good if f"-{Path(name).stem}" not in done] == []


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_not_utf_8_is_escaped_in_every_file(
    network: Path, tmp_path: Path, run_command: RunCommand
) -> None:
    (tmp_path / "photos").mkdir()
    content = photo(tmp_path / "plain.jpg").read_bytes()
    name = os.fsdecode(b"n\xff.jpg")
    (tmp_path / "photos" / name).write_bytes(content)
    every = [word for form in OutputFormat for word in ("--format", form.value)]
    words = ("--out", tmp_path / "out", "--score-threshold", 0)
    assert run_command("predict", network, tmp_path / "photos", *words, *every, "--labels", "coco") == 0
    assert json.loads((tmp_path / "out" / "images.json").read_text())["images"][0]["file_name"].endswith(name)
    assert json.loads((tmp_path / "out" / "labels-coco.json").read_text())["images"][0]["file_name"] == name
    assert r"n\udcff.jpg" in (tmp_path / "out" / "detections.csv").read_text(encoding="utf-8")
    assert run_command("cutout", network, tmp_path / "photos", "--out", tmp_path / "cut") == 0


def test_only_bad_photos_are_an_error_and_write_nothing(
    network: Path, tmp_path: Path, run_command: RunCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos").mkdir()
    bad = bad_photos(tmp_path / "photos")
    for command in ("predict", "cutout"):
        assert run_command(command, network, tmp_path / "photos", "--out", tmp_path / "out") == 2
        assert named(capsys.readouterr().err, bad) == bad
        assert not (tmp_path / "out").exists()


def test_training_and_evaluation_leave_them_out(
    dataset: Path, run_command: RunCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = sorted(path.name for path in (dataset / "images").glob("bad-*"))
    run = dataset / "run"
    assert run_command("fit", dataset, "--out", run, *QUICK, "--quiet") == 1
    assert named(capsys.readouterr().err, bad) == bad
    assert len(json.loads((run / "run.json").read_text())["unread"]) == 2 * len(bad)
    assert run_command("evaluate", run, dataset, "--quiet") == 1
    assert named(capsys.readouterr().err, bad) == bad
    metrics = Metrics.from_json((run / "metrics.json").read_text())
    assert any(note.startswith(f"{len(bad)} photos cannot be read") for note in metrics.notes)
    assert run_command("dataset", "show", dataset, "--out", dataset / "look", "--count", 99, "--quiet") == 1
    assert named(capsys.readouterr().err, bad)
    assert run_command("dataset", "check", dataset, "--json") == 1
    assert named(capsys.readouterr().out.replace('"', ":"), bad) == bad


def test_a_run_continues_without_the_photos_that_it_left_out_or_lost(
    dataset: Path, run_command: RunCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    """A photo that is repaired stays out, and photos that vanish later, of both splits, do not end the run."""
    run, words = dataset / "run", ("--set", "train.steps_per_epoch=9")
    assert run_command("fit", dataset, "--out", run, *QUICK, *words, "--quiet") == 1
    begun = read_checkpoint(RunFolder(run).last)
    photo(dataset / "images" / "bad-empty.jpg", 1)
    for name in ("plain0.jpg", "odd-cmyk.jpg"):
        (dataset / "images" / name).unlink()
    capsys.readouterr()
    assert run_command("fit", dataset, "--out", run, "--more-epochs", 3, "--quiet") == 1
    assert named(capsys.readouterr().err, ["bad-empty.jpg", "plain0.jpg"]) == ["bad-empty.jpg", "plain0.jpg"]
    ended = read_checkpoint(RunFolder(run).last)
    assert (ended.data, ended.step) == (begun.data, 36)
    left = read_left_out(RunFolder(run).facts)
    assert left is not None and len(left["train"]) == len(left["val"]) > 10


def test_figures_names_each_once_and_draws_the_others(
    dataset: Path, run_command: RunCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [image["file_name"] for image in json.loads((dataset / "annotations" / "val.json").read_text())["images"]]
    bad = [name for name in names if name.startswith("bad-")]
    run = dataset / "run"
    run_command("fit", dataset, "--out", run, *QUICK, "--quiet")
    run_command("evaluate", run, dataset, "--quiet")
    rows = json.loads((dataset / "annotations" / "val.json").read_text())["annotations"]
    (run / "predictions.json").write_text(json.dumps([row | {"score": 0.9} for row in rows]))
    capsys.readouterr()
    out = dataset / "figures"
    assert run_command("figures", run, "--data", dataset, "--out", out, "--all", "--best", 99, "--quiet") == 1
    lines = capsys.readouterr().err.splitlines()
    assert [sum(f"{name}:" in line for line in lines) for name in bad] == [1] * len(bad)
    assert len(lines) == len(bad)
    drawn = {path.stem.lower() for path in (out / "photos").iterdir()}
    assert [name for name in names if name not in bad and Path(name).stem not in drawn] == []
    assert len(drawn) == len(names) - len(bad)
    assert (out / "Suit.png").is_file()


@pytest.mark.parametrize("place", ["garment", "background", "both"])
def test_compose_names_a_photo_that_cannot_be_read(
    place: str, network: Path, tmp_path: Path, run_command: RunCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a background, as a cut-out, and as a photo to cut from; nothing is written."""
    bad, out = bad_photos(tmp_path), tmp_path / "out.jpg"
    good = tmp_path / "good.png"
    Image.new("RGBA", (40, 40), (200, 30, 30, 128)).save(good)
    for name in bad:
        garment, background = (
            tmp_path / name if place in (part, "both") else good for part in ("garment", "background")
        )
        for more in ((), ("--replace", network, "--class", "Suit")):
            assert run_command("compose", garment, background, "--out", out, *more, "--quiet") == 2, name
            error = capsys.readouterr().err
            assert f"{name}:" in error and len(error.splitlines()) == 1, error
            assert not out.exists()


def test_compose_takes_odd_photos(network: Path, tmp_path: Path, run_command: RunCommand) -> None:
    good = tmp_path / "good.png"
    Image.new("RGBA", (40, 40), (200, 30, 30, 128)).save(good)
    for name in odd_photos(tmp_path):
        out = tmp_path / f"out-{name}.jpg"
        assert run_command("compose", good, tmp_path / name, "--out", out, "--quiet") == 0, name
        assert read_photo(out).shape == read_photo(tmp_path / name).shape


def test_readable_agrees_with_reading(dataset: Path) -> None:
    data = CocoLikeDataset().load_data(dataset, "train").prepare()
    kept, unread = readable(data)

    def can_be_read(position: int) -> bool:
        try:
            data.load_image(position)
        except (PhotoError, DataError):
            return False
        return True

    want = [entry.path.name for position, entry in enumerate(data.images) if can_be_read(position)]
    assert [entry.path.name for entry in kept.images] == want
    assert len(unread) == len(data) - len(want)
    assert len(data.images) > len(kept.images)


def test_python_finishes_the_other_photos_of_a_list(network: Path, folder: tuple[Path, list[str], list[str]]) -> None:
    place, bad, good = folder
    model = MaskRCNN.load(network, device="cpu")
    paths: list[Any] = [place / name for name in sorted([*bad, *good])]
    with pytest.raises(UnreadPhotosError, match=f"{len(bad)} of {len(paths)} photos cannot be read") as caught:
        model.predict(paths)
    results = caught.value.results
    assert isinstance(results, list)
    assert [path.name for path, found in zip(paths, results, strict=True) if found is None] == bad
    alone = model.predict(place / good[0])
    assert results[paths.index(place / good[0])].boxes.tolist() == alone.boxes.tolist()
    assert all(f"[{paths.index(place / name)}] {place / name}:" in "\n".join(caught.value.unread) for name in bad)


def test_python_evaluates_the_other_photos_of_a_dataset(dataset: Path, network: Path) -> None:
    tree = json.loads((dataset / "annotations" / "val.json").read_text())
    tree["categories"] = tree["categories"][:1]
    (dataset / "annotations" / "val.json").write_text(json.dumps(tree))
    data = CocoLikeDataset().load_data(dataset, "val").prepare()
    kept, unread = readable(data)
    model = MaskRCNN.load(network, device="cpu")
    rows = [row for of_photo in model.predict_dataset(kept) for row in of_photo]
    want = evaluate_coco(truth_of(data), rows, score_threshold=model.config.inference.score_threshold)
    note = f"{counted(len(unread), 'photo')} cannot be read; objects there count as missed."
    seen: list[str] = []
    metrics = model.evaluate(data, unread=seen)
    assert metrics == replace(want, notes=(*want.notes, note))
    assert [text.split(":")[0] for text in seen] == [text.split(":")[0] for text in unread]
    with pytest.raises(UnreadPhotosError) as caught:
        model.evaluate(data)
    assert caught.value.results == metrics
    assert caught.value.unread == seen
    given: list[object] = []
    with pytest.raises(UnreadPhotosError):
        for of_photo in model.predict_dataset(data):
            given += of_photo
    assert given == rows
    with pytest.raises(UnreadPhotosError):
        evaluate_network(model, data, resamples=0)


def test_python_refuses_a_dataset_without_a_readable_photo(dataset: Path, network: Path) -> None:
    (dataset / "images").rename(dataset / "pictures")
    data = CocoLikeDataset().load_data(dataset, "val").prepare()
    with pytest.raises(PhotoError, match="none of the"):
        evaluate_network(MaskRCNN.load(network, device="cpu"), data)


def test_a_wrong_folder_of_photos_is_an_error(dataset: Path) -> None:
    (dataset / "images").rename(dataset / "pictures")
    data = CocoLikeDataset().load_data(dataset, "train").prepare()
    with pytest.raises(PhotoError, match="is this the folder of the photos"):
        readable(data)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_photos_have_the_size_of_their_annotations(tmp_path: Path, orientation: int) -> None:
    from clothseg.photos import check_photo

    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (40, 24), "red").save(tmp_path / "a.jpg", exif=exif)
    height, width = read_photo(tmp_path / "a.jpg").shape[:2]
    check_photo(tmp_path / "a.jpg", (height, width))
    with pytest.raises(PhotoError, match=f"has {height} x {width} pixels"):
        check_photo(tmp_path / "a.jpg", (width, height))
