"""The presets: each builds a network; those of the report change what the report changed, and make a step."""

import numpy as np
import pytest
import torch

from clothseg.config import Config, preset_names
from clothseg.errors import ConfigError
from clothseg.instances import Instances, RleMasks, encode
from clothseg.networks import build_network


def test_an_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="demo"):
        Config.load("dmeo")
    assert "demo" in preset_names()


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_builds_a_network(name: str) -> None:
    with torch.device("meta"):  # without values
        network = build_network(Config.load(name), 3)
    assert sum(p.numel() for p in network.parameters()) > 1_000_000


def strengths(**values: float) -> dict[str, float]:
    """The settings of augmentation by dotted name."""
    return {f"augment.{name}" if name == "flip" else f"augment.{name}.max": value for name, value in values.items()}


GEOMETRY = strengths(stretch=0.02, shift=0.05, rotate=10.0, shear=5.0)  # one affine: each side, each axis, degrees


LIGHT = strengths(brightness=0.2, contrast=0.2)


NO_AUGMENTATION = dict.fromkeys([*GEOMETRY, *LIGHT, *strengths(flip=0, blur=0, sharpen=0)], 0.0)


def only(values: dict[str, float]) -> dict[str, float]:
    return {**NO_AUGMENTATION, **values}


def rates(*rows: tuple[str, int, float]) -> list[dict[str, object]]:
    """Stages: what is trained, up to which epoch, and at which rate."""
    return [{"trainable": part, "end_epoch": end, "learning_rate": rate} for part, end, rate in rows]


EXPERIMENTS: dict[str, dict[str, object]] = {
    "resnet50": {"backbone.name": "resnet50"},
    "dropout-0.5": {"backbone.dropout": 0.5},
    "l2": {"network.rpn.box_loss": "l2"},
    "anchors-32-512": {"network.anchors.scales": [[32.0], [64.0], [128.0], [256.0], [512.0]]},
    "anchors-8-128": {"network.anchors.scales": [[8.0], [16.0], [32.0], [64.0], [128.0]]},
    "input-1024": {"input.min_side": 800, "input.max_side": 1024},
    "input-256": {"input.min_side": 256, "input.max_side": 256},
    "rpn-nms-0.7": {"network.rpn.nms_iou": 0.7},
    "rpn-nms-0.9": {"network.rpn.nms_iou": 0.9},
    "score-0.75": {"inference.score_threshold": 0.75},
    "score-0.8": {"inference.score_threshold": 0.8},
    "epochs-60": {"train.epochs": 60, "train.stages": rates(("heads", 40, 1e-3), ("all", 60, 1e-3))},
    "rates-a": {
        "train.stages": rates(
            ("heads", 40, 1e-3), ("all", 60, 1e-3 / 10), ("all", 80, 1e-3 / 50), ("all", 100, 1e-5), ("all", 120, 2e-6)
        )
    },
    "rates-b": {"train.stages": rates(("heads", 40, 1e-3), ("all", 60, 1e-3), ("all", 100, 1e-4), ("all", 120, 5e-5))},
    "augment-geometry": {**only(GEOMETRY)},
    "augment-flip": {**only(strengths(flip=0.2))},
    "augment-light": {**only(LIGHT)},
    "augment-focus": {**only(strengths(blur=0.1, sharpen=0.1))},
    "augment-flip-focus": {**only(strengths(flip=0.2, blur=0.1, sharpen=0.1))},
    "augment-0.3": {**strengths(flip=0.3, blur=0.2, sharpen=0.2)},
    "augment-0.35": {**strengths(flip=0.35, blur=0.25, sharpen=0.25)},
}
"""What the report tried, each against its final network; from its tables, not from our files."""


def test_paper_is_the_final_network_of_the_report() -> None:
    """Learning-rate table C, the combination "all 0.2", and the choices of the other experiments."""
    paper = flattened("paper")
    chosen = {
        "backbone.name": "resnet101",
        "backbone.dropout": 0.0,
        "network.rpn.box_loss": "smooth_l1",
        "network.rpn.nms_iou": 0.8,
        "network.anchors.scales": [[16.0], [32.0], [64.0], [128.0], [256.0]],
        "input.min_side": 512,
        "input.max_side": 512,
        "inference.score_threshold": 0.7,
        "train.epochs": 120,
        "train.steps_per_epoch": 131,
        "train.batch_size": 1,
        "train.stages": rates(
            ("heads", 40, 1e-3), ("all", 60, 1e-3), ("all", 80, 1e-4), ("all", 100, 1e-5), ("all", 120, 1e-6)
        ),
        **GEOMETRY,
        **LIGHT,
        **strengths(flip=0.2, blur=0.1, sharpen=0.1),
    }
    assert {key: paper[key] for key in chosen} == chosen


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_each_experiment_changes_only_what_the_report_changed(name: str) -> None:
    paper, other, expected = flattened("paper"), flattened(f"paper/{name}"), EXPERIMENTS[name]
    changed = {key: value for key, value in other.items() if value != paper[key]}
    assert changed == {key: value for key, value in expected.items() if paper[key] != value}
    assert changed


def test_every_experiment_of_the_report_has_a_file() -> None:
    assert {name.removeprefix("paper/") for name in preset_names() if name.startswith("paper/")} == set(EXPERIMENTS)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_makes_a_step(name: str) -> None:
    """Losses of a small photo, and gradients; few channels, and a small backbone unless the experiment is about it."""
    smaller = ["network.fpn.channels=32", "network.box_head.fc_dim=64", "network.mask_head.channels=32"]
    if name not in {"resnet50", "dropout-0.5"}:
        smaller.append("backbone.name=resnet18")
    config = Config.load(f"paper/{name}", [*smaller, "input.min_side=64", "input.max_side=64", "weights=random"])
    network = build_network(config, 3).train()
    mask = np.zeros((60, 50), dtype=np.bool_)
    mask[10:50, 5:40] = True
    boxes = torch.tensor([[5.0, 10.0, 40.0, 50.0]])
    truth = Instances((60, 50), boxes, torch.tensor([2]), RleMasks([encode(mask)], (60, 50)))
    losses = network.losses([torch.rand(3, 60, 50)], [truth])
    losses["total"].backward()  # type: ignore[no-untyped-call]
    assert all(loss.isfinite() for loss in losses.values())
    assert any(parameter.grad is not None for parameter in network.parameters())


def flattened(preset: str) -> dict[str, object]:
    """All settings by dotted name; the strengths of augmentation in two parts."""
    flat: dict[str, object] = {}
    for key, value in Config.load(preset).flat().items():
        if isinstance(value, dict) and value.keys() == {"max", "p"}:
            flat |= {f"{key}.{part}": number for part, number in value.items()}
        else:
            flat[key] = value
    return flat
