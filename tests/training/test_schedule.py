"""Stages, optimizer and learning rate, against hand-computed values."""

from typing import Any

import pytest
import torch

from clothseg.config import Config, TrainSettings
from clothseg.networks import build_network
from clothseg.training.schedule import (
    StageSpan,
    load_optimizer_state,
    lr_factor,
    lr_scale,
    make_optimizer,
    plan_stages,
    set_learning_rate,
    stage_at,
)

from .conftest import SMALL, TWO_STAGES


def test_norms_and_biases_have_no_weight_decay() -> None:
    network = build_network(Config.load("demo", [*SMALL, "train.weight_decay=0.1"]), 3)
    settings = Config.load("demo", ["train.weight_decay=0.1"]).train
    optimizer = make_optimizer(network, settings, settings.learning_rate)
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
    assert decay.keys() == {id(p) for p in trained.values()}
    for name, parameter in trained.items():
        assert decay[id(parameter)] == (0.0 if name.endswith("bias") or parameter.dim() == 1 else 0.1)
        assert rates[id(parameter)] == pytest.approx(3e-4 if name.startswith("backbone.") else 1e-3)


@pytest.mark.parametrize("optimizer", [torch.optim.AdamW, torch.optim.SGD])
def test_a_saved_optimizer_continues_in_its_own_way(optimizer: Any) -> None:
    """The state of an optimizer that changed the weights one by one; the next step equals that of the other."""
    weights = [torch.nn.Parameter(torch.arange(6.0)) for _ in range(2)]
    slow = optimizer([weights[0]], lr=0.1, weight_decay=0.1, fused=False, foreach=False)
    fast = optimizer([weights[1]], lr=0.1, weight_decay=0.1, fused=True)

    def step(number: int) -> None:
        weights[number].grad = torch.linspace(-1, 1, 6)
        (slow, fast)[number].step()

    step(0)
    weights[1].data.copy_(weights[0].data)
    load_optimizer_state(fast, slow.state_dict())
    assert fast.param_groups[0]["fused"]
    step(0)
    step(1)
    torch.testing.assert_close(weights[1], weights[0])


def test_the_learning_rate_warms_up_and_ends_at_0() -> None:
    settings = Config.load("demo", ["train.warmup_steps=10"]).train
    assert lr_factor(0, settings, 100) == pytest.approx(0.1)
    assert lr_factor(10, settings, 100) == 1.0
    assert lr_factor(55, settings, 100) == pytest.approx(0.5)
    assert lr_factor(100, settings, 100) == pytest.approx(0.0)


def test_poly_by_hand() -> None:
    """9 steps after the warm-up; after 3 of them (2/3)^0.9 is left."""
    settings = TrainSettings(schedule="poly", warmup_steps=1)
    assert [lr_factor(step, settings, 10) for step in (0, 1, 4, 10)] == pytest.approx([1, 1, 0.694253, 0], abs=1e-6)
    assert lr_factor(1, TrainSettings(schedule="poly", warmup_steps=0, poly_power=2), 2) == 0.25


@pytest.mark.parametrize("power", [0.5, 0.9, 2.0])
def test_poly_is_that_of_torch(power: float) -> None:
    settings = TrainSettings(schedule="poly", warmup_steps=0, poly_power=power)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=17, power=power)
    for step in range(20):
        assert lr_factor(step, settings, 17) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-12)
        optimizer.step()
        theirs.step()


@pytest.mark.parametrize("network", ["mask_rcnn", "yolact", "deeplab"])
def test_every_network_takes_poly(network: str) -> None:
    preset = {"mask_rcnn": "demo", "yolact": "small-yolact", "deeplab": "small-deeplab"}[network]
    settings = Config.load(preset, ["train.schedule=poly", "train.poly_power=1", "train.warmup_steps=0"])
    assert settings.network.name == network
    optimizer = torch.optim.SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": 0.2, "initial_lr": 0.2}])
    set_learning_rate(optimizer, 15, StageSpan(10, 20, 3, 0.2, "all layers"), settings.train)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1)


def test_the_learning_rate_scales_with_the_photos_per_step() -> None:
    assert lr_scale(TrainSettings(), 64) == 1.0
    assert lr_scale(TrainSettings(lr_reference_batch=16), 2) == 0.125
    assert lr_scale(TrainSettings(lr_reference_batch=16, optimizer="adamw"), 4) == 0.5
    config = Config.load("paper", ["train.lr_reference_batch=8"])
    assert [span.learning_rate for span in plan_stages(config, 131, 2)] == pytest.approx(
        [2.5e-4, 2.5e-4, 2.5e-5, 2.5e-6, 2.5e-7]
    )


def test_stage_spans_match_hand_computed_steps() -> None:
    config = Config.load("demo", [*SMALL, TWO_STAGES])
    stages = plan_stages(config, 7, 2)
    assert stages == [
        StageSpan(0, 7, 5, 0.001, "heads"),
        StageSpan(7, 14, 3, 0.0005, "all but the first 3 stages of the backbone"),
    ]
    assert [stage_at(stages, step) for step in (0, 6, 7, 13, 14)] == [stages[number] for number in (0, 0, 1, 1, 1)]
    without = Config.load("demo", [*SMALL, "backbone.frozen_stages=0"])
    assert plan_stages(without, 7, 2) == [StageSpan(0, 14, 0, 0.001, "all layers")]
