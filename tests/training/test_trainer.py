"""Steps of a trainer: the loss falls, stages train their layers, photos without objects train background."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from clothseg.config import Config

from .conftest import SMALL, TINY, TWO_STAGES, Photos, make_trainer

LITE0 = [*SMALL, "backbone.name=timm/tf_efficientnet_lite0"]
"""With the backbone of the preset, whose layers are named below."""


def test_the_loss_on_one_photo_halves(photos: Photos, tmp_path: Path) -> None:
    config = Config.load("demo", [*LITE0, "augment.fixed_views=1", "train.epochs=1", "train.steps_per_epoch=40"])
    train, val = photos
    train.images = train.images[:1]
    trainer = make_trainer(config, (train, val), tmp_path)
    totals = []
    for _ in range(40):
        before = trainer.state.sums.get("total", 0.0)
        trainer.step()
        totals.append(trainer.state.sums["total"] - before)
    assert sum(totals[-5:]) < 0.5 * sum(totals[:5])


def test_each_stage_trains_only_its_layers(photos: Photos, tmp_path: Path) -> None:
    three_stages = TWO_STAGES.replace("]", ", {trainable: all, end_epoch: 3}]")
    config = Config.load("demo", [*LITE0, "train.epochs=3", three_stages])
    trainer = make_trainer(config, photos, tmp_path)
    network = trainer.network
    changed_layers = []
    for _ in range(3):
        before = {name: p.detach().clone() for name, p in network.named_parameters()}
        for _ in range(trainer.steps_per_epoch):
            trainer.step()
        changed = {name for name, p in network.named_parameters() if not torch.equal(p, before[name])}
        changed_layers.append({name.split(".")[2] if name.startswith("backbone") else "heads" for name in changed})
        changed_layers[-1] |= {
            f"block{name.split('.')[3]}" for name in changed if name.startswith("backbone") and ".blocks." in name
        }
    assert changed_layers[0] == {"heads"}
    assert changed_layers[1] == {"heads", "blocks", "block3", "block4", "block5", "block6"}
    assert changed_layers[2] >= {"conv_stem", "block0", "block1", "block2"}
    steps = {name: int(trainer.optimizer.state[p]["step"]) for name, p in network.named_parameters()}
    assert steps["box_head.score.weight"] == 9  # the optimizer state survives a change of the stage
    assert steps["backbone.model.blocks.6.0.conv_pw.weight"] == 6
    assert steps["backbone.model.conv_stem.weight"] == 3
    rates = [group["lr"] for group in trainer.optimizer.param_groups]
    assert max(rates) <= config.train.learning_rate
    assert [stage.learning_rate for stage in trainer.stages] == [0.001, 0.0005, 0.001]


@pytest.mark.parametrize("fixed_views", [0, 2])
def test_a_batch_without_objects_trains_background(fixed_views: int, small_photos: Photos, tmp_path: Path) -> None:
    train, val = small_photos
    train.images[1:] = [replace(entry, annotations=[]) for entry in train.images[1:]]
    config = Config.load("demo", [*TINY, f"augment.fixed_views={fixed_views}"])
    trainer = make_trainer(config, (train, val), tmp_path)
    network = trainer.network
    trainer.sampler.waiting = [1, 2]
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    trainer.step()
    sums = trainer.state.sums
    assert sums["bbox"] == sums["mask"] == sums["rpn_bbox"] == 0
    assert sums["class"] > 0 and sums["rpn_class"] > 0
    changed = {name for name, p in network.named_parameters() if not torch.equal(p, before[name])}
    assert any(name.startswith("rpn") for name in changed)
    assert all(torch.isfinite(p).all() for p in network.parameters())
