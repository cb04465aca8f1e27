"""One training step: activation checkpointing, micro-batches, gradient clipping, operations and reads."""

import math
from pathlib import Path
from typing import cast

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from clothseg import cpu_path
from clothseg.config import Config
from clothseg.dataset import Batch
from clothseg.distributed import DistributedContext, launch
from clothseg.instances import Instances
from clothseg.networks import build_network
from clothseg.networks.dispatch_counts import DispatchCounts
from clothseg.training import Examples
from clothseg.training.examples import ExampleQueue
from clothseg.training.schedule import make_optimizer
from clothseg.training.step import StepResult, clip_gradient, training_step

from .conftest import SMALL, Photos, make_trainer


def step_on(config: Config, photos: Photos, micro_batches: list[Batch]) -> tuple[StepResult, dict[str, Tensor]]:
    """The result of a first step, and its gradients."""
    network = build_network(config, 3).train()
    examples = Examples(network, photos[0], config, augmented=True)
    fabric = launch(1)
    optimizer = fabric.setup_optimizers(make_optimizer(network, config.train, config.train.learning_rate))
    context = DistributedContext.of(fabric)
    result = training_step(
        examples, micro_batches, cast(Optimizer, optimizer), None, config.train, fabric, context, step=1
    )  # fmt: skip
    return result, {name: p.grad for name, p in network.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("backbone", ["timm/tf_efficientnet_lite0", "resnet18"])
def test_activation_checkpointing_gives_equal_losses_and_gradients(backbone: str, photos: Photos) -> None:
    answers = []
    for recompute in ("true", "false"):
        with_dropout = ["backbone.dropout=0.1"] if backbone == "resnet18" else []
        more = [f"backbone.name={backbone}", "backbone.frozen_stages=1", "train.grad_clip_norm=null", *with_dropout]
        config = Config.load("demo", [*SMALL, *more, f"train.activation_checkpointing={recompute}"])
        torch.manual_seed(5)  # for dropout
        answers.append(step_on(config, photos, [[(0, 0), (1, 1)]]))
    (result, gradients), (other_result, other_gradients) = answers
    assert result.faulty is None
    assert result == other_result
    assert len(gradients) > 50
    assert gradients.keys() == other_gradients.keys()
    assert all(torch.equal(gradients[name], other_gradients[name]) for name in gradients)


def test_the_gradient_of_micro_batches_is_the_mean_over_all_photos(photos: Photos) -> None:
    """One photo in the first and two in the second: the weights are 1/3 and 2/3."""
    config = Config.load("demo", [*SMALL, "train.grad_clip_norm=null"])
    whole, together = step_on(config, photos, [[(0, 0)], [(1, 0), (2, 0)]])
    first, alone = step_on(config, photos, [[(0, 0)]])
    assert whole.losses.keys() == first.losses.keys()

    network = build_network(config, 3).train()
    examples = Examples(network, photos[0], config, augmented=True)
    examples.losses([(0, 0)])  # uses the random numbers of the first micro-batch
    losses = examples.losses([(1, 0), (2, 0)])
    torch.autograd.backward(losses["total"])
    for name, loss in losses.items():
        assert whole.losses[name] == pytest.approx(first.losses[name] / 3 + 2 * loss.item() / 3, rel=1e-5)
    second = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    assert together.keys() == alone.keys() == second.keys()
    for name, gradient in together.items():
        torch.testing.assert_close(gradient, alone[name] / 3 + 2 * second[name] / 3, atol=1e-5, rtol=1e-4)


def test_a_nan_in_a_later_micro_batch_is_traced_to_it(photos: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    """All losses are read at the end, before the optimizer changes a weight."""
    take = ExampleQueue.take

    def poisoned(queue: ExampleQueue, position: int, version: int) -> tuple[Tensor, Instances]:
        image, truth = take(queue, position, version)
        return image.float() / 255 * (torch.nan if position == 1 else 1.0), truth

    monkeypatch.setattr(ExampleQueue, "take", poisoned)
    config = Config.load("demo", SMALL)
    result, _ = step_on(config, photos, [[(0, 0)], [(1, 0)], [(2, 0)]])
    assert result.faulty == [(1, 0)]
    assert not math.isfinite(result.losses["total"])


@pytest.mark.parametrize(
    ("preset", "photos_of_step", "sizes", "most"),
    [
        ("paper", 1, ["input.min_side=128", "input.max_side=128", "train.stages=[]", "train.ema_decay=0.99"], 1200),
        ("small", 4, ["input.height=96", "input.width=64"], 1000),
    ],
)
def test_a_step_has_few_operations_and_reads_on_a_gpu(
    preset: str,
    photos_of_step: int,
    sizes: list[str],
    most: int,
    small_photos: Photos,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With clipping and EMA, in 32 bits; `paper` learns all layers. The size of the input changes neither number.

    A GPU is waited for three times: in NMS, for the number of boxes with an object, and for losses and gradient norm
    at the end. The other reads are of what a step has on the processor: whether objects are crowds, and seeds.
    """
    config = Config.load(preset, ["weights=random", "network.rpn.pre_nms_top_n_train=500", *sizes])
    trainer = make_trainer(config, small_photos, tmp_path)
    image, truth = trainer.examples.queue.source.load(0, 0)
    of_photos = [truth[torch.zeros(count, dtype=torch.int64)] for count in (1, 3, 0, 2)]  # of one object, its copies
    assert len(truth) == 1
    examples = [(image, of_photo) for of_photo in of_photos[:photos_of_step]]
    monkeypatch.setattr(ExampleQueue, "take", lambda _, position, version: examples[position])
    monkeypatch.setattr(cpu_path, "uses_cpu_path", lambda tensor: False)
    batch = [(position, 0) for position in range(photos_of_step)]
    for step in (1, 2):  # constants are computed once
        with DispatchCounts() as counts:
            result = training_step(
                trainer.examples, [batch], trainer.optimizer, trainer.ema, config.train, trainer.fabric,
                trainer.distributed, step=step,
            )  # fmt: skip
    assert result.losses["mask"] > 0
    assert counts.reads.total() <= 4 + photos_of_step, counts.reads
    assert counts.operations.total() <= most, counts.operations.most_common()


def test_gradient_clipping_matches_hand_computed_values() -> None:
    """A gradient of (3, 4, 12) has norm 13."""
    for max_norm, expected in ((None, [3.0, 4, 12]), (26.0, [3.0, 4, 12]), (6.5, [1.5, 2, 6])):
        layers = nn.ModuleList([nn.Linear(2, 1, bias=False), nn.Linear(1, 1, bias=False), nn.Linear(1, 1)])
        layers[0].weight.grad, layers[1].weight.grad = torch.tensor([[3.0, 4.0]]), torch.tensor([[12.0]])
        fabric = launch(1)
        optimizer = cast(Optimizer, fabric.setup_optimizers(torch.optim.SGD(layers.parameters(), lr=1.0)))
        assert clip_gradient(optimizer, fabric, max_norm).item() == pytest.approx(13.0)
        clipped = [*layers[0].weight.grad[0].tolist(), layers[1].weight.grad.item()]
        assert clipped == pytest.approx(expected)
