"""Whole trainings with photos without labels: burn-in, exact resume, what is drawn, and what is written."""

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.dataset.unlabelled import UnlabelledPhotos
from clothseg.errors import ClothsegError, ConfigError, InterruptedRun, RunError
from clothseg.models import MaskRCNN
from clothseg.networks import build_network
from clothseg.photos import RgbImage
from clothseg.runs import RunFolder
from clothseg.training import read_checkpoint, read_history
from clothseg.training.pseudo_labels import PseudoLabels
from clothseg.training.run_log import RunLog
from clothseg.training.second_opinion import Opinion, SecondOpinion
from clothseg.training.trainer import Trainer

from .conftest import CLASSES, TINY, Photos, interrupt
from .test_fit import assert_same_runs

EVERYTHING_IS_CONFIDENT = [
    "unlabelled.score_threshold=0",
    "unlabelled.ignore_threshold=0",
    "unlabelled.mask_score_threshold=0",
]
SETTINGS = [
    *TINY,
    "train.ema_decay=0.5",
    "unlabelled.burn_in=0.34",
    "unlabelled.relabel_every=1",
    "unlabelled.second_opinion=none",
    *EVERYTHING_IS_CONFIDENT,
]


@pytest.fixture
def free(tmp_path: Path) -> UnlabelledPhotos:
    """Four photos of noise."""
    rng = np.random.default_rng(0)
    files = [tmp_path / "free" / f"{number}.png" for number in range(4)]
    files[0].parent.mkdir()
    for file in files:
        Image.fromarray(rng.integers(0, 256, (90, 60, 3), dtype=np.uint8)).save(file)
    return UnlabelledPhotos(tuple((file, 90, 60) for file in files))


def fit(
    photos: Photos, out: Path, free: UnlabelledPhotos | None, *, resume: bool = False, more: Sequence[str] = ()
) -> None:
    model = MaskRCNN(Config.load("demo", [*SETTINGS, *more])).build(CLASSES)
    model.fit(*photos, out, quiet=True, unlabelled=free, resume=resume)


def test_the_burn_in_equals_a_training_without_them(photos: Photos, free: UnlabelledPhotos, tmp_path: Path) -> None:
    fit(photos, tmp_path / "with", free)
    fit(photos, tmp_path / "without", None)
    rows = [read_history(tmp_path / name / "history.csv") for name in ("with", "without")]
    first, second = ([row | {"seconds": 0} for row in of_run] for of_run in rows)
    assert first[0] == second[0]
    assert first[1]["train_total"] != second[1]["train_total"], "the labels of the teacher change nothing"


def test_a_stopped_run_resumes_exactly(
    photos: Photos, free: UnlabelledPhotos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(photos, tmp_path / "whole", free)
    interrupt(monkeypatch, before=4)
    with pytest.raises(InterruptedRun):
        fit(photos, tmp_path / "resumed", free)
    monkeypatch.undo()
    assert read_checkpoint(RunFolder(tmp_path / "resumed").last).step == 4
    fit(photos, tmp_path / "resumed", None, resume=True)  # the run knows its photos
    assert_same_runs(tmp_path / "whole", tmp_path / "resumed")
    whole, resumed = (read_checkpoint(RunFolder(tmp_path / n).last).pseudo_labels for n in ("whole", "resumed"))
    assert whole == resumed and whole["epoch"] == 2


@pytest.fixture
def other_network(tmp_path: Path) -> list[str]:
    """Settings for a network with random weights that knows suits and bolts, and sees few of the objects."""
    MaskRCNN(Config.load("demo", TINY)).build(["Bolt", "Suit"]).save(tmp_path / "other.safetensors")
    thresholds = "unlabelled.ignore_threshold=0.05", "unlabelled.score_threshold=0.05"
    return [f"unlabelled.second_opinion={tmp_path / 'other.safetensors'}", *thresholds]


def test_a_run_with_a_second_opinion_resumes_exactly(
    photos: Photos, free: UnlabelledPhotos, other_network: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: Counter[int] = Counter()
    look = SecondOpinion.look

    def counted(self: SecondOpinion, position: int, photo: RgbImage) -> Opinion:
        asked[position] += 1
        return look(self, position, photo)

    fit(photos, tmp_path / "whole", free, more=other_network)
    fit(photos, tmp_path / "without", free, more=["unlabelled.second_opinion=none", *other_network[1:]])
    labels = [read_checkpoint(RunFolder(tmp_path / n).last).pseudo_labels for n in ("whole", "without")]
    assert labels[0]["annotations"] != labels[1]["annotations"], "the second opinion changes nothing"
    assert f"{tmp_path / 'other.safetensors'} takes" in (tmp_path / "whole" / "log.txt").read_text()
    interrupt(monkeypatch, before=4)
    with pytest.raises(InterruptedRun):
        fit(photos, tmp_path / "resumed", free, more=other_network)
    monkeypatch.undo()
    monkeypatch.setattr(SecondOpinion, "look", counted)
    fit(photos, tmp_path / "resumed", None, resume=True, more=other_network)
    assert_same_runs(tmp_path / "whole", tmp_path / "resumed")
    first = len(photos[0])
    assert dict(asked) == {first + number: 1 for number in range(4)}, "asked once after the second epoch"


@pytest.mark.parametrize(
    ("source", "classes", "error"),
    [
        ("nowhere.safetensors", CLASSES, r"unlabelled\.second_opinion: .*nowhere\.safetensors"),
        ("garments", ["Bolt", "Screw", "Nut"], r"garments knows Suit, Dress, .*but none of Bolt, Screw, Nut"),
    ],
)
def test_a_second_opinion_that_cannot_be_asked_is_an_error(source: str, classes: list[str], error: str) -> None:
    config = Config.load("demo", [f"unlabelled.second_opinion={source}"])
    with pytest.raises(ClothsegError, match=error):
        SecondOpinion.of(config, classes, torch.device("cpu"))


@pytest.mark.parametrize("setting", ["unlabelled.second_opinion=nowhere.safetensors", "train.ema_decay=0"])
def test_settings_that_cannot_teach_are_known_before_the_run_is_made(
    setting: str, photos: Photos, free: UnlabelledPhotos, tmp_path: Path
) -> None:
    with pytest.raises(ClothsegError):
        fit(photos, tmp_path / "run", free, more=[setting])
    assert not (tmp_path / "run").exists()


def test_by_default_garments_is_asked_about_classes_that_it_knows() -> None:
    device = torch.device("cpu")
    found = SecondOpinion.of(Config.load("demo"), ["Coat", "Jeans"], device)
    assert found is not None and found.name == "garments" and sorted(found.known) == [2]
    assert SecondOpinion.of(Config.load("demo"), ["Bolt"], device) is None
    assert SecondOpinion.of(Config.load("demo", ["unlabelled.second_opinion=none"]), ["Jeans"], device) is None


def test_labels_are_written_as_a_coco_file(photos: Photos, free: UnlabelledPhotos, tmp_path: Path) -> None:
    fit(photos, tmp_path / "run", free)
    run = RunFolder(tmp_path / "run")
    tree = json.loads(run.pseudo_labels.read_text())
    assert [Path(row["file_name"]) for row in tree["images"]] == [file for file, _, _ in free.photos]
    assert [told["epoch"] for told in tree["info"]["rounds"]] == [1, 2]
    last = tree["info"]["rounds"][-1]
    objects = [row for row in tree["annotations"] if not row["iscrowd"]]
    assert objects and last["masks"] == len(objects)
    assert last["photos"] == len({row["image_id"] for row in objects})
    read = CocoLikeDataset().load_data(tmp_path / "free", annotations=run.pseudo_labels).prepare()
    assert len(read) == 4 and read.classes == CLASSES
    assert "the teacher labelled 4 photos" in run.log.read_text()


def test_photos_that_are_gone_are_named(photos: Photos, free: UnlabelledPhotos, tmp_path: Path) -> None:
    fit(photos, tmp_path / "run", free)
    shutil.rmtree(tmp_path / "free")
    with pytest.raises(RunError, match=r"4 of 4 photos without labels are gone.*0\.png"):
        fit(photos, tmp_path / "run", None, resume=True)


def test_a_photo_that_vanishes_has_no_labels(photos: Photos, free: UnlabelledPhotos, tmp_path: Path) -> None:
    """Before the teacher is asked, and before the run resumes."""
    free.photos[2][0].unlink()
    fit(photos, tmp_path / "run", free)
    run = RunFolder(tmp_path / "run")
    labels = read_checkpoint(run.last).pseudo_labels["annotations"]
    assert [bool(rows) for rows in labels] == [True, True, False, True]
    assert run.log.read_text().count(f"left out from now on, with other photos in its place: {free.photos[2][0]}") == 1
    fit(photos, tmp_path / "run", None, resume=True)
    assert len(read_history(run.history)) == 3


def test_a_teacher_needs_an_average_of_the_weights(photos: Photos, free: UnlabelledPhotos, tmp_path: Path) -> None:
    model = MaskRCNN(Config.load("demo", [*SETTINGS, "train.ema_decay=0"])).build(CLASSES)
    with pytest.raises(ConfigError, match="ema_decay"):
        model.fit(*photos, tmp_path / "run", quiet=True, unlabelled=free)


def make(photos: Photos, free: UnlabelledPhotos, folder: Path, settings: list[str]) -> Trainer:
    config = Config.load("demo", [*SETTINGS, *settings])
    log = RunLog(folder / "log.txt", quiet=True)
    return Trainer(build_network(config, len(CLASSES)), *photos, config, RunFolder(folder), log, unlabelled=free)


def test_the_share_of_the_photos_without_labels_is_as_set(
    photos: Photos, free: UnlabelledPhotos, tmp_path: Path
) -> None:
    trainer = make(photos, free, tmp_path, ["unlabelled.share=0.4"])
    assert trainer.self_training is not None
    labelled = len(photos[0])
    before = Counter(place for _ in range(30) for place, _ in trainer.sampler.next_batch())
    assert max(before) < labelled, "drawn in the burn-in"
    row = {"image_id": 1, "category_id": 1, "segmentation": [], "bbox": [0.0, 0.0, 9.0, 9.0], "iscrowd": 0}
    labels = PseudoLabels(1, [[row], [row], [], [{**row, "iscrowd": 1}]])  # type: ignore[list-item,typeddict-item]
    trainer.self_training.use(labels)
    drawn = Counter(place for _ in range(2000) for place, _ in trainer.sampler.next_batch())
    assert set(drawn) == {*range(labelled), labelled, labelled + 1}, "only photos with an object teach"
    # Three labelled photos, and two others that each occur min(1, 0.4 / 0.6 * 3 / 2) = 1 times in an epoch.
    assert (drawn[labelled] + drawn[labelled + 1]) / drawn.total() == pytest.approx(0.4, abs=0.01)


def test_photos_with_none_of_the_classes_teach_as_often_as_set(
    photos: Photos, free: UnlabelledPhotos, tmp_path: Path
) -> None:
    trainer = make(photos, free, tmp_path, ["unlabelled.share=0.4", "train.empty_share=0.1"])
    assert trainer.self_training is not None
    labelled = len(photos[0])
    row = {"image_id": 1, "category_id": 1, "segmentation": [], "bbox": [0.0, 0.0, 9.0, 9.0], "iscrowd": 0}
    trainer.self_training.use(PseudoLabels(1, [[row], [row], [], []], empty=[3]))  # type: ignore[list-item]
    drawn = Counter(place for _ in range(4000) for place, _ in trainer.sampler.next_batch())
    assert set(drawn) == {*range(labelled), labelled, labelled + 1, labelled + 3}
    # Three labelled photos are 60 % of the batches, so an epoch has five: 1.5 with an object, 0.5 with none.
    assert drawn[labelled + 3] / drawn.total() == pytest.approx(0.1, abs=0.01)
    assert (drawn[labelled] + drawn[labelled + 1]) / drawn.total() == pytest.approx(0.3, abs=0.01)


def test_new_labels_replace_what_was_loaded_before(photos: Photos, free: UnlabelledPhotos, tmp_path: Path) -> None:
    trainer = make(photos, free, tmp_path, ["train.workers=1"])
    place = (len(photos[0]), 1)
    trainer.examples.prefetch([place])
    row = {"image_id": 9, "category_id": 1, "segmentation": [[10, 10, 50, 10, 50, 80, 10, 80]], "iscrowd": 0}
    assert trainer.self_training is not None
    trainer.self_training.use(PseudoLabels(1, [[row], [], [], []]))  # type: ignore[list-item]
    _, truth = trainer.examples.queue.take(*place)
    trainer.pool.close()
    assert truth.classes.tolist() == [1]
    assert torch.equal(truth.crowd, torch.tensor([False]))
