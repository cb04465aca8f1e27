"""Training photos that vanish or break: others take their places, and results stay exact."""

import json
import shutil
import signal
from pathlib import Path

import pytest
import torch
from bad_photos import photo
from safetensors.torch import load_file

from clothseg.config import Config
from clothseg.dataset.examples import substitutes
from clothseg.errors import InterruptedRun, PhotoError
from clothseg.models import MaskRCNN
from clothseg.runs import RunFolder
from clothseg.training import read_checkpoint, read_history
from clothseg.training.memory.forecast import photo_needs
from clothseg.training.overfit import choose_photo
from clothseg.training.trainer import Trainer

from .conftest import TINY, load

UNCACHED = ["augment.fixed_views=0", "train.feature_cache_mb=0", "train.image_cache_mb=0", "augment.copy_paste=0.5"]
MESSAGE = "left out from now on"


@pytest.fixture
def squares(tmp_path: Path) -> Path:
    """A dataset of eight photos to learn from and two to validate on; the last training photo is the largest."""
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    (folder / "annotations").mkdir()
    for split, sizes in (("train", [(48, 64)] * 7 + [(96, 128)]), ("val", [(48, 64)] * 2)):
        images, rows = [], []
        for number, size in enumerate(sizes, 1):
            name = photo(folder / "images" / f"{split}{number}.jpg", number, size).name
            images.append({"id": number, "file_name": name, "width": size[0], "height": size[1]})
            square = [number, 5, number + 20, 5, number + 20, 40, number, 40]
            rows.append({"id": number, "image_id": number, "category_id": 1, "segmentation": [square]})
        tree = {"images": images, "annotations": rows, "categories": [{"id": 1, "name": "Suit"}]}
        (folder / "annotations" / f"{split}.json").write_text(json.dumps(tree))
    return folder


def train_run(data: Path, run: Path, *more: str, resume: bool = False) -> None:
    config = Config.load("demo", [*TINY, *UNCACHED, "train.epochs=3", "train.steps_per_epoch=4", *more])
    train, val = load(data)
    MaskRCNN(config).build(train.classes).fit(train, val, run, resume=resume, quiet=True)


def assert_same(one: Path, other: Path) -> None:
    """Histories (without times) and weights are equal, bit for bit."""
    first, second = (read_history(RunFolder(run).history) for run in (one, other))
    assert [row | {"seconds": 0} for row in first] == [row | {"seconds": 0} for row in second]
    weights, others = (read_checkpoint(RunFolder(run).last).network for run in (one, other))
    assert all(torch.equal(tensor, others[name]) for name, tensor in weights.items())


@pytest.mark.parametrize(("position", "photos"), [(0, 1), (0, 2), (5, 12), (11, 12), (14, 12), (3, 7)])
def test_every_other_photo_can_take_a_place(position: int, photos: int) -> None:
    for version in range(5):
        others = list(substitutes(position, photos, 3, version))
        assert sorted(others) == sorted(set(range(photos)) - {position})


def test_the_places_of_neighbours_go_to_many_photos() -> None:
    """A folder of 100 neighbours is gone: no photo gets more than a few of their places."""
    lost, taken = set(range(100)), [0] * 1000
    for version in range(20):
        for position in lost:
            taken[next(other for other in substitutes(position, 1000, 0, version) if other not in lost)] += 1
    assert sum(taken) == 2000
    assert max(taken) < 100  # 2.2 on average; 2000 if the next one took all


def test_broken_photos_do_not_end_a_training_whoever_loads(squares: Path, tmp_path: Path) -> None:
    (squares / "images" / "train3.jpg").write_bytes(b"<html>")
    for number, workers in enumerate((["0", "auto"], ["2", "thread"], ["2", "process"])):
        train_run(squares, tmp_path / f"run{number}", f"train.workers={workers[0]}", f"train.worker_type={workers[1]}")
    assert_same(tmp_path / "run0", tmp_path / "run1")
    assert_same(tmp_path / "run0", tmp_path / "run2")
    for number in range(3):
        lines = RunFolder(tmp_path / f"run{number}").log.read_text().splitlines()
        assert [line.count("train3.jpg") for line in lines if MESSAGE in line] == [1]


def test_a_photo_that_vanishes_is_left_out_from_then_on(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is stopped later, and resumed when the photo is back, equals one that was not stopped."""
    step, gone, away = Trainer.step, squares / "images" / "train2.jpg", tmp_path / "away.jpg"
    stop_after = 0

    def step_without_photo(trainer: Trainer) -> None:
        if trainer.state.step == 2 and gone.exists():
            gone.rename(away)
        step(trainer)
        if trainer.state.step == stop_after:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Trainer, "step", step_without_photo)
    train_run(squares, tmp_path / "whole")
    assert read_checkpoint(RunFolder(tmp_path / "whole").last).lost.keys() == {"1"}
    away.rename(gone)
    stop_after = 9  # after two epochs, in which every photo was drawn
    with pytest.raises(InterruptedRun):
        train_run(squares, tmp_path / "run")
    monkeypatch.undo()
    away.rename(gone)
    train_run(squares, tmp_path / "run", resume=True)
    assert_same(tmp_path / "whole", tmp_path / "run")
    assert RunFolder(tmp_path / "run").log.read_text().count(MESSAGE) == 1
    facts = RunFolder(tmp_path / "run").read_facts()
    assert [message.split(":")[0] for message in facts["lost"]] == [str(gone)]


def test_a_resumed_run_goes_on_without_a_photo_that_is_still_gone(squares: Path, tmp_path: Path) -> None:
    train_run(squares, tmp_path / "run", "train.epochs=1")
    (squares / "images" / "train2.jpg").unlink()
    train_run(squares, tmp_path / "run", "train.epochs=3", resume=True)
    assert [row["epoch"] for row in read_history(RunFolder(tmp_path / "run").history)] == [1, 2, 3]


@pytest.mark.parametrize("cached", [True, False])
def test_a_folder_that_is_out_of_reach_ends_a_training_which_resumes_exactly(
    cached: bool, squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = ["augment.fixed_views=2", "train.feature_cache_mb=1"] if cached else []
    train_run(squares, tmp_path / "whole", *more)
    step, images, away = Trainer.step, squares / "images", squares / "away"

    def step_without_photos(trainer: Trainer) -> None:
        if trainer.state.step == 5 and images.exists():
            images.rename(away)
            trainer.examples.clear_cache()
        step(trainer)

    monkeypatch.setattr(Trainer, "step", step_without_photos)
    with pytest.raises(PhotoError, match=r"2 of 8 training photos cannot be read any more(.|\n)*--resume"):
        train_run(squares, tmp_path / "run", *more)
    monkeypatch.undo()
    assert read_checkpoint(RunFolder(tmp_path / "run").last).lost == {}
    away.rename(images)
    train_run(squares, tmp_path / "run", *more, resume=True)
    assert_same(tmp_path / "whole", tmp_path / "run")


def test_a_photo_of_another_size_is_left_out_too(squares: Path, tmp_path: Path) -> None:
    photo(squares / "images" / "train4.jpg", 9, (60, 60))
    train_run(squares, tmp_path / "run")
    assert "train4.jpg: the photo has 60 x 60 pixels" in RunFolder(tmp_path / "run").log.read_text()


def test_the_largest_photo_may_be_broken(squares: Path, tmp_path: Path) -> None:
    """The forecast of memory is that of the dataset without it, except for what the sizes alone say."""
    config = Config.load("demo", TINY)
    (squares / "images" / "train8.jpg").write_bytes(b"")
    train, _ = load(squares)
    fewer = train.only([entry.id for entry in train.images[:-1]])
    assert photo_needs(train, config).held == photo_needs(fewer, config).held
    train_run(squares, tmp_path / "run")
    assert load_file(RunFolder(tmp_path / "run").weights)


def test_the_first_photo_may_be_broken_in_the_test_on_one(squares: Path) -> None:
    (squares / "images" / "train1.jpg").unlink()
    assert choose_photo(load(squares)[0]) == 1
    shutil.rmtree(squares / "images")
    with pytest.raises(PhotoError, match=r"train1\.jpg"):
        choose_photo(load(squares)[0])
