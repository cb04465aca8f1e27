"""Masks that a teacher draws for objects labelled with a box: which ones are learned, exact resume, what is written."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from clothseg.config import BoxLabelSettings, Config
from clothseg.dataset import CocoLikeDataset
from clothseg.errors import ConfigError, InterruptedRun
from clothseg.instances import Instances, PixelMasks, Rle, box_iou, decode, from_box, is_box_only, tight_box
from clothseg.models import MaskRCNN
from clothseg.runs import RunFolder
from clothseg.training import pseudo_masks, read_checkpoint, read_history
from clothseg.training.pseudo_masks import PseudoMasks, mask_in_box

from .conftest import CLASSES, TINY, Photos, interrupt, load, make_trainer
from .test_fit import assert_same_runs

SETTINGS = [
    *TINY,
    "train.ema_decay=0.5",
    "box_labels.pseudo_masks=true",
    "box_labels.burn_in=0.34",
    "box_labels.relabel_every=1",
]
GOOD = BoxLabelSettings(iou_threshold=0.8, mask_score_threshold=0.8)
HEIGHT, WIDTH = 160, 120
BOX = (30.0, 40.0, 61.0, 81.0)


def ellipse(grow: float = 0.0, right: float = 0.0) -> NDArray[np.bool_]:
    """The object in `BOX`, or one that is larger by some pixels, or further to the right."""
    ys, xs = np.mgrid[:HEIGHT, :WIDTH]
    inside = ((xs - 60 - right) / (30.5 + grow)) ** 2 + ((ys - 80) / (40.5 + grow)) ** 2 <= 1
    return np.asarray(inside, dtype=np.bool_)


@pytest.fixture
def photo() -> NDArray[np.uint8]:
    """A red ellipse on grey, both with noise."""
    rng = np.random.default_rng(0)
    colours = np.where(ellipse()[..., None], (180, 40, 40), (110, 115, 120)) + rng.normal(0, 6, (HEIGHT, WIDTH, 3))
    return np.asarray(colours.clip(0, 255), dtype=np.uint8)


def detected(mask: NDArray[np.bool_]) -> Instances:
    """A detection with this mask."""
    x, y, width, height = tight_box_of(mask)
    box = torch.tensor([[x, y, x + width, y + height]])
    masks = PixelMasks(torch.from_numpy(mask)[None])
    return Instances((HEIGHT, WIDTH), box, torch.tensor([1]), masks, torch.tensor([0.9]))


def tight_box_of(mask: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    ys, xs = np.nonzero(mask)
    return float(xs.min()), float(ys.min()), float(np.ptp(xs) + 1), float(np.ptp(ys) + 1)


def iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize("grow", [-4.0, 4.0])
def test_the_edge_moves_to_that_of_the_object(grow: float, photo: NDArray[np.uint8]) -> None:
    coarse = ellipse(grow)
    mask = mask_in_box(detected(coarse), BOX, photo, GOOD)
    assert mask is not None
    assert iou(ellipse(), coarse) < 0.83
    assert iou(ellipse(), decode(mask)) > 0.95


@pytest.mark.parametrize("box", [(34.0, 44.0, 53.0, 73.0), (26.0, 37.0, 66.0, 88.0), (30.4, 40.4, 60.2, 80.3)])
def test_the_labelled_box_is_that_of_the_mask(box: tuple[float, float, float, float], photo: NDArray[np.uint8]) -> None:
    """What is outside is cut off, and a mask that does not reach the sides is stretched."""
    flat = np.full_like(photo, 90)  # nothing to follow, so the mask stays as it is
    mask = mask_in_box(detected(ellipse()), box, flat, GOOD)
    assert mask is not None
    x, y, width, height = tight_box(mask)
    assert (x, y, x + width, y + height) == tuple(round(v) for v in (*box[:2], box[0] + box[2], box[1] + box[3]))


def test_a_box_beyond_the_photo_is_cut() -> None:
    """Of an object at the corner a quarter is on the photo."""
    ys, xs = np.mgrid[:HEIGHT, :WIDTH]
    corner = np.asarray((xs / 40.0) ** 2 + (ys / 50.0) ** 2 <= 1, dtype=np.bool_)
    flat = np.full((HEIGHT, WIDTH, 3), 90, dtype=np.uint8)
    mask = mask_in_box(detected(corner), (-5.0, -8.0, 46.0, 59.0), flat, GOOD)
    assert mask is not None and tight_box(mask) == (0, 0, 41, 51)


def test_a_mask_that_does_not_fill_the_box_is_not_learned(photo: NDArray[np.uint8]) -> None:
    flat, wide = np.full_like(photo, 90), (18.0, 40.0, 73.0, 81.0)
    assert 0.6 < box_iou(wide, BOX) < 0.85
    assert mask_in_box(detected(ellipse()), wide, flat, BoxLabelSettings(iou_threshold=0.9)) is None
    assert mask_in_box(detected(ellipse()), wide, flat, BoxLabelSettings(iou_threshold=0.6)) is not None


def test_a_detection_in_another_place_is_not_the_object(photo: NDArray[np.uint8]) -> None:
    assert mask_in_box(detected(ellipse(right=25)), BOX, photo, GOOD) is None
    assert mask_in_box(detected(ellipse())[torch.tensor([], dtype=torch.int64)], BOX, photo, GOOD) is None


def without_masks(photos: Photos, every: int = 1) -> Photos:
    """The same photos with boxes in the places of the training masks, of every so manieth photo."""
    train, val = photos
    for number in range(0, len(train), every):
        entry = train.images[number]
        rows = [row if row["iscrowd"] else {**row, "segmentation": []} for row in entry.annotations]
        train.images[number] = replace(entry, annotations=rows)  # type: ignore[arg-type]
    return train, val


@pytest.fixture
def fills_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The teacher draws the whole box, because that of a few steps finds nothing."""

    def draw(found: Instances, box: tuple[float, ...], photo: NDArray[np.uint8], settings: BoxLabelSettings) -> Rle:
        return from_box(box, (photo.shape[0], photo.shape[1]))

    monkeypatch.setattr(pseudo_masks, "mask_in_box", draw)


def fit(photos: Photos, out: Path, *settings: str, resume: bool = False) -> None:
    model = MaskRCNN(Config.load("demo", [*SETTINGS, *settings])).build(CLASSES)
    model.fit(*photos, out, quiet=True, resume=resume)


@pytest.mark.usefixtures("fills_boxes")
def test_the_burn_in_equals_a_training_without_them(data: Path, tmp_path: Path) -> None:
    fit(without_masks(load(data)), tmp_path / "with")
    fit(without_masks(load(data)), tmp_path / "without", "box_labels.pseudo_masks=false")
    rows = [read_history(tmp_path / name / "history.csv") for name in ("with", "without")]
    first, second = ([row | {"seconds": 0} for row in of_run] for of_run in rows)
    assert first[0] == second[0] and first[0]["train_mask"] == 0
    assert first[1]["train_mask"] > 0 == second[1]["train_mask"]


@pytest.mark.usefixtures("fills_boxes")
def test_a_stopped_run_resumes_exactly(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit(without_masks(load(data), every=2), tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(InterruptedRun):
        interrupt(patch, before=4)  # in the second epoch, after the teacher was asked
        fit(without_masks(load(data), every=2), tmp_path / "resumed")
    stopped = read_checkpoint(RunFolder(tmp_path / "resumed").last)
    assert stopped.step == 4 and stopped.pseudo_masks["drawn"]
    fit(without_masks(load(data), every=2), tmp_path / "resumed", resume=True)
    assert_same_runs(tmp_path / "whole", tmp_path / "resumed")


@pytest.mark.usefixtures("fills_boxes")
def test_the_callers_dataset_stays_as_it_is(photos: Photos, tmp_path: Path) -> None:
    train, val = without_masks(photos)
    before = [entry.annotations for entry in train.images]
    fit((train, val), tmp_path / "run")
    assert [entry.annotations for entry in train.images] == before


@pytest.mark.usefixtures("fills_boxes")
def test_masks_are_written_as_a_coco_file(photos: Photos, tmp_path: Path) -> None:
    train, val = without_masks(photos, every=2)
    objects = [row for entry in (train.images[0], train.images[2]) for row in entry.annotations]
    crowds = [row for row in objects if row["iscrowd"]]
    fit((train, val), tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    tree = json.loads(run.pseudo_masks.read_text())
    assert [Path(row["file_name"]) for row in tree["images"]] == [train.images[n].path for n in (0, 2)]
    assert [row["bbox"] for row in tree["annotations"]] == [row["bbox"] for row in objects]
    boxes = len(objects) - len(crowds)
    assert sum(row["drawn"] for row in tree["annotations"]) == boxes > 0
    assert {**tree["info"], "description": ""} == {"description": "", "epoch": 2, "boxes": boxes, "masks": boxes}
    read = CocoLikeDataset().load_data(tmp_path, annotations=run.pseudo_masks).prepare()
    assert len(read) == 2 and read.classes == CLASSES
    log = run.log.read_text()
    assert log.count(f"drew masks for {boxes} of the {boxes} objects") == 2


def test_without_a_good_mask_a_box_stays_a_box(photos: Photos, tmp_path: Path) -> None:
    """The real teacher, which has learned nothing."""
    fit(without_masks(photos), tmp_path / "run")
    assert "the teacher drew masks for 0 of the" in RunFolder(tmp_path / "run").log.read_text()
    assert all(row["train_mask"] == 0 for row in read_history(tmp_path / "run" / "history.csv"))


def test_nothing_is_drawn_if_nobody_asks(photos: Photos, tmp_path: Path) -> None:
    config = Config.load("demo", [setting for setting in SETTINGS if "pseudo_masks" not in setting])
    trainer = make_trainer(config, without_masks(photos), tmp_path)
    assert trainer.pseudo_masks is None
    trainer.pool.close()


def test_masks_need_a_teacher() -> None:
    with pytest.raises(ConfigError, match=r"box_labels\.pseudo_masks.*train\.ema_decay"):
        Config.load("demo", [*SETTINGS, "train.ema_decay=0"])


def test_where_every_object_has_a_mask_the_log_says_so(photos: Photos, tmp_path: Path) -> None:
    fit(photos, tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    assert "every object has a mask, so none is drawn" in run.log.read_text()
    assert not run.pseudo_masks.exists()


def test_a_photo_that_vanishes_has_no_masks(photos: Photos, tmp_path: Path, fills_boxes: None) -> None:
    trainer = make_trainer(Config.load("demo", SETTINGS), without_masks(photos), tmp_path)
    assert trainer.pseudo_masks is not None and trainer.ema is not None
    gone = trainer.examples.dataset.images[1].path
    kept = gone.read_bytes()
    gone.unlink()
    try:
        drawn = trainer.pseudo_masks.draw(trainer.ema)
    finally:
        gone.write_bytes(kept)
    assert sorted(drawn) == [0, 2]
    assert [gone.name in reason for reason in trainer.lost.reasons.values()] == [True]
    trainer.pool.close()


def test_another_round_forgets_the_one_before(photos: Photos, tmp_path: Path) -> None:
    trainer = make_trainer(Config.load("demo", SETTINGS), without_masks(photos), tmp_path)
    teaching = trainer.pseudo_masks
    assert isinstance(teaching, PseudoMasks)
    entry = trainer.examples.dataset.images[0]
    mask = from_box((0, 0, 9, 9), (entry.height, entry.width))
    teaching.use({0: {0: mask}})
    assert trainer.examples.dataset.images[0].annotations[0]["segmentation"] == mask
    teaching.use({})
    assert is_box_only(trainer.examples.dataset.images[0].annotations[0])
    trainer.pool.close()
