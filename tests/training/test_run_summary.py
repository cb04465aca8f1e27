"""The summary before the first step, and the remaining time."""

from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import torch

from clothseg.config import Config
from clothseg.networks import build_network
from clothseg.training.memory.device import format_bytes
from clothseg.training.memory.forecast import Forecast
from clothseg.training.run_summary import (
    EtaEstimator,
    advise_empty_photos,
    describe_mask_share,
    describe_memory,
    describe_trainable,
    summarize_run,
    warn_missing_classes,
)
from clothseg.training.trainer import Trainer

from .conftest import SMALL, Photos, make_trainer


def test_the_remaining_time_is_logged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """2 s per step of 4 photos, without the first step; 100 steps in 10 epochs, each with 12 validation photos."""
    clock = iter([50.0, 60.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    plan = SimpleNamespace(state=SimpleNamespace(step=0), steps=100, steps_per_epoch=10, photos=4)
    eta = EtaEstimator(cast(Trainer, plan), 12)
    messages = [eta.after(step) for step in range(1, 101)]
    assert [number for number, message in enumerate(messages, start=1) if message] == [6]
    assert "about 3 min to go: 2 s a step, measured on steps 2 to 6" in messages[5]  # 94 * 2 s + 9.4 * 12 * 2 / 4 / 3 s


def test_processes_on_a_cpu_share_one_memory() -> None:
    forecast = Forecast(*[100_000_000] * len(fields(Forecast)))
    alone, both = (describe_memory(forecast, torch.device("cpu"), 0, world_size) for world_size in (1, 2))
    one, two = format_bytes(forecast.total), format_bytes(2 * forecast.total)
    assert alone.startswith(f"about {one} ")
    assert both.startswith(f"about {two} ")
    assert f"({one} for each of 2 processes: " in both


def test_the_summary_lists_the_trainable_weights_of_each_stage() -> None:
    config = Config.load(
        "demo", ["train.epochs=9", "train.stages=[{trainable: heads, end_epoch: 3}, {trainable: all, end_epoch: 9}]"]
    )
    network = build_network(config, 3)
    backbone = sum(p.numel() for p in network.backbone.parameters())
    total = sum(p.numel() for p in network.parameters())
    trained = [p.requires_grad for p in network.parameters()]
    first, last = describe_trainable(network, config).split("; ")
    assert first.startswith(
        f"{(total - backbone) / 1e6:.1f} of {total / 1e6:.1f} million weights learn until epoch 3, "
    )
    assert last.startswith(f"{total / 1e6:.1f} of {total / 1e6:.1f} million weights learn until epoch 9, none ")
    assert [p.requires_grad for p in network.parameters()] == trained


def test_a_class_without_objects_gives_a_warning(photos: Photos) -> None:
    train, _ = photos
    assert warn_missing_classes(train) == "; NO object to learn from: Dress"
    annotation = train.images[0].annotations[0]
    train.images[0].annotations.append(annotation | {"category_id": train.source_class_id(2)})
    assert warn_missing_classes(train) == ""


def test_photos_without_objects_are_advised_where_there_are_none(photos: Photos) -> None:
    train, _ = photos
    train.images = [entry for entry in train.images if entry.annotations]
    assert "every photo to learn from shows an object" in advise_empty_photos(train)
    train.images[-1].annotations.clear()
    assert advise_empty_photos(train) == ""


def test_photos_with_masks_come_more_often_where_others_have_boxes_alone(photos: Photos, tmp_path: Path) -> None:
    train, _ = photos
    assert describe_mask_share(train, Config()) == ""
    assert make_trainer(Config.load("demo", SMALL), photos, tmp_path / "masks").sampler.repeats is None
    for number in (0, 2):
        entry = train.images[number]
        rows = [row if row["iscrowd"] else {**row, "segmentation": []} for row in entry.annotations]
        train.images[number] = replace(entry, annotations=rows)  # type: ignore[arg-type]
    sentence = "1 photo with masks, 2 times as often as the others, which have boxes alone (box_labels.mask_share)"
    assert describe_mask_share(train, Config()) == sentence
    trainer = make_trainer(Config.load("demo", SMALL), photos, tmp_path / "boxes")
    assert trainer.sampler.repeats is not None
    assert trainer.sampler.repeats.tolist() == [1.0, 2.0, 1.0]
    lines, _ = summarize_run(trainer, *photos, "none")
    assert [line for line in lines if line.startswith("masks")] == [f"masks    {sentence}"]
    off = Config.load("demo", [*SMALL, "box_labels.mask_share=0"])
    assert describe_mask_share(train, off) == ""
