"""Trainings on a device that refuses tensors of the CPU: their values are those of the CPU."""

from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric
from pretend_device import pretend_fabric
from torch import Tensor

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.instances import CocoAnnotation
from clothseg.networks import build_network
from clothseg.runs import RunFolder
from clothseg.training import pseudo_masks
from clothseg.training.overfit import overfit_one_image
from clothseg.training.run_log import RunLog
from clothseg.training.trainer import Trainer

Photos = tuple[CocoLikeDataset, CocoLikeDataset]


CPU = torch.device("cpu")


TRAININGS = {
    "adamw, EMA, feature cache": ["train.optimizer=adamw", "train.ema_decay=0.5", "augment.fixed_views=2"],
    "sgd, accumulated, checkpointed": [
        "train.optimizer=sgd", "train.grad_accumulation_steps=2", "train.activation_checkpointing=true",
        "augment.fixed_views=0", "train.grad_clip_norm=1.0", "network.box_head.norm=group",
    ],
    "stages, more convolutions": [
        "train.stages=[{trainable: heads, end_epoch: 1}, {trainable: 4+, end_epoch: 2}]", "network.rpn.num_conv=2",
        "train.ema_decay=0.9", "network.box_head.dropout=0",
    ],
}  # fmt: skip


def make_trainer(config: Config, photos: Photos, folder: Path, fabric: Fabric) -> Trainer:
    network = build_network(config, 3)
    return Trainer(network, *photos, config, RunFolder(folder), RunLog(folder / "log.txt", quiet=True), fabric)


def tensors_of(trainer: Trainer) -> dict[str, Tensor]:
    """Every tensor that a training keeps from step to step, except for the optimizer's counts of steps."""
    found = dict(chain(trainer.network.named_parameters(), trainer.network.named_buffers()))
    found |= {f"EMA {name}": tensor for name, tensor in (trainer.ema.weights if trainer.ema else {}).items()}
    for number, state in enumerate(trainer.optimizer.state.values()):
        found |= {f"optimizer {number} {name}": t for name, t in state.items() if isinstance(t, Tensor) and t.dim()}
    for cached in (*trainer.examples.cached.values(), *trainer.validator.examples.cached.values()):
        target = cached.target
        for tensor in (*cached.outputs.values(), target.boxes, target.classes, target.masks, target.ignored):
            found[f"cached {id(tensor)}"] = tensor
    return found


@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_is_that_of_the_cpu(
    name: str, small: list[str], photos: Photos, tmp_path: Path, pretend: torch.device
) -> None:
    config = Config.load("demo", [*small, *TRAININGS[name]])
    rows = []
    for number, fabric in enumerate((Fabric(accelerator="cpu", devices=1), pretend_fabric())):
        torch.manual_seed(5)
        trainer = make_trainer(config, photos, tmp_path / str(number), fabric)
        while trainer.epoch_due or not trainer.finished:
            trainer.advance()
        rows.append(trainer.state.rows)
        wrong = [name for name, tensor in tensors_of(trainer).items() if tensor.device != fabric.device]
        assert wrong == []
        assert trainer.precision == "32-true"
    assert tensors_of(trainer)
    for mine, other in zip(*rows, strict=True):
        for column in mine.keys() - {"seconds"}:
            assert other[column] == pytest.approx(mine[column], rel=5e-3, abs=1e-5), column


def test_a_teacher_draws_masks_in_boxes(
    small: list[str], photos: Photos, tmp_path: Path, pretend: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every detection counts as the object, because a random network finds nothing in its place."""
    monkeypatch.setattr(pseudo_masks, "SAME_OBJECT", 0.0)
    settings = ["train.ema_decay=0.5", "inference.score_threshold=0"]
    settings += [f"box_labels.{one}" for one in ("pseudo_masks=true", "iou_threshold=0", "mask_score_threshold=0")]
    config = Config.load("demo", [*small, *settings])
    train, val = photos
    boxes = train.only([entry.id for entry in train.images])
    for position, entry in enumerate(train.images):
        rows: list[CocoAnnotation] = [{**row, "segmentation": [], "iscrowd": 0} for row in entry.annotations]
        boxes.images[position] = replace(entry, annotations=rows)
    trainer = make_trainer(config, (boxes, val), tmp_path, pretend_fabric())
    assert trainer.pseudo_masks is not None and trainer.ema is not None
    trainer.pseudo_masks.use(trainer.pseudo_masks.draw(trainer.ema))
    assert sum(map(len, trainer.pseudo_masks.drawn.values())) > 0
    trainer.advance()
    assert trainer.state.step == 1


@pytest.mark.parametrize(
    ("first", "second", "optimizer"),
    [("cpu", "pretend", "adamw"), ("pretend", "cpu", "sgd"), ("pretend", "pretend", "adamw")],
)
def test_a_training_continues_on_another_device(
    first: str, second: str, optimizer: str, small: list[str], photos: Photos, tmp_path: Path, pretend: torch.device
) -> None:
    config = Config.load("demo", [*small, "train.ema_decay=0.5", f"train.optimizer={optimizer}"])
    config = config.changed("train", evaluate_every=None, epochs=1)
    fabrics = {"cpu": Fabric(accelerator="cpu", devices=1), "pretend": pretend_fabric()}
    torch.manual_seed(5)
    straight = make_trainer(config, photos, tmp_path / "straight", fabrics[second])
    torch.manual_seed(5)
    stopped = make_trainer(config, photos, tmp_path / "stopped", fabrics[first])
    for trainer in (straight, stopped):
        trainer.advance()
    stopped.save()
    resumed = make_trainer(config, photos, tmp_path / "stopped", fabrics[second])
    resumed.resume(force=False)
    for trainer in (straight, resumed):
        while trainer.epoch_due or not trainer.finished:
            trainer.advance()
    assert [name for name, tensor in tensors_of(resumed).items() if tensor.device != fabrics[second].device] == []
    assert straight.ema is not None and resumed.ema is not None
    for name, tensor in straight.ema.weights.items():
        there = resumed.ema.weights[name]
        if first == second:
            assert there.cpu().equal(tensor.cpu()), name
        else:  # AdamW moves weights whose gradient is nearly 0 by up to the learning rate, either way
            torch.testing.assert_close(there.cpu(), tensor.cpu(), rtol=1e-3, atol=config.train.learning_rate)


def test_overfitting_one_photo(
    small: list[str], photos: Photos, pretend: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clothseg.training.overfit.MIN_STEPS", 2)
    monkeypatch.setattr("clothseg.training.overfit.MAX_STEPS", 2)
    monkeypatch.setattr("clothseg.training.overfit.DETECT_EVERY", 1)
    config = Config.load("demo", small)
    result = overfit_one_image(build_network(config, 3).to(pretend), photos[0], config, pretend_fabric())
    assert result.steps == 2 and result.found.boxes.device == CPU
