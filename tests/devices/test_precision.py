"""Mixed precision: the network's products have 16 bits; boxes, losses, weights and averages have 32."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.devices import resolve_precision
from clothseg.instances import Instances, PixelMasks
from clothseg.networks import build_network
from clothseg.runs import RunFolder
from clothseg.training.fit import fit
from clothseg.training.memory.forecast import forecast_memory
from clothseg.training.run_log import RunLog
from clothseg.training.trainer import Trainer

Photos = tuple[CocoLikeDataset, CocoLikeDataset]
MODULES = "clothseg.networks.mask_rcnn"
BOX_ARITHMETIC = [
    f"{MODULES}.rpn.match_boxes", f"{MODULES}.rpn.encode_boxes", f"{MODULES}.rpn.decode_boxes",
    f"{MODULES}.rpn.rpn_losses", f"{MODULES}.rpn.batched_nms", f"{MODULES}.losses.match_boxes",
    f"{MODULES}.network.encode_boxes", f"{MODULES}.network.box_head_losses", f"{MODULES}.losses.mask_loss",
    f"{MODULES}.postprocess.decode_boxes",
]  # fmt: skip


def dtypes_of(function: Callable[..., Any], seen: set[torch.dtype]) -> Callable[..., Any]:
    def spy(*args: Any, **kwargs: Any) -> Any:
        answer = function(*args, **kwargs)
        leaves = tree_leaves((args, kwargs, answer))
        seen.update(leaf.dtype for leaf in leaves if isinstance(leaf, Tensor) and leaf.is_floating_point())
        return answer

    return spy


@pytest.mark.parametrize("more", [[], ["network.rpn.num_conv=2"], ["network.conventions=detectron2"]])
def test_boxes_and_losses_have_32_bits_under_autocast(
    more: list[str], small: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anchors in bf16 would be rounded to even pixels from 256 on."""
    seen: dict[str, set[torch.dtype]] = {name: set() for name in BOX_ARITHMETIC}
    for name in BOX_ARITHMETIC:
        module, _, function = name.rpartition(".")
        target: Any = __import__(module, fromlist=[function])
        monkeypatch.setattr(target, function, dtypes_of(getattr(target, function), seen[name]))
    network = build_network(Config.load("demo", [*small, *more]), 3)
    image = torch.rand((3, 96, 64), generator=torch.Generator().manual_seed(0))
    mask = torch.zeros((1, 96, 64), dtype=torch.bool)
    mask[:, 20:70, 10:40] = True
    truth = Instances((96, 64), torch.tensor([[10.0, 20, 40, 70]]), torch.tensor([1]), PixelMasks(mask))
    outputs: list[Tensor] = []
    network.get_submodule("rpn.score").register_forward_hook(lambda module, args, output: outputs.append(output))
    with torch.autocast("cpu", torch.bfloat16):
        losses = network.losses([image], [truth])
        network.eval().detect([image])
    assert {output.dtype for output in outputs} == {torch.bfloat16}  # autocast was on
    assert {loss.dtype for loss in losses.values()} == {torch.float32}
    assert seen == {name: {torch.float32} for name in BOX_ARITHMETIC}
    torch.autograd.backward(losses["total"])
    gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    assert all(g.dtype == torch.float32 and bool(g.isfinite().all()) for g in gradients.values())
    network.zero_grad()
    torch.autograd.backward(network.train().losses([image], [truth])["total"])
    assert gradients.keys() == {name for name, p in network.named_parameters() if p.grad is not None}


def test_a_mixed_training_keeps_32_bits_and_is_close_to_one_of_32_bits(
    small: list[str], photos: Photos, tmp_path: Path
) -> None:
    rows = []
    for precision in ("32-true", "bf16-mixed"):
        settings = [*small, f"train.precision={precision}", "train.ema_decay=0.5", "augment.fixed_views=2"]
        config, run = Config.load("demo", settings), RunFolder(tmp_path / precision)
        torch.manual_seed(5)
        trainer = Trainer(build_network(config, 3), *photos, config, run, RunLog(run.log, quiet=True))
        assert trainer.precision == precision
        computed: set[torch.dtype] = set()
        head = trainer.network.get_submodule("box_head.dense.0")
        head.register_forward_hook(lambda module, args, output, seen=computed: seen.add(output.dtype))
        trainer.advance()
        assert computed == {torch.float32 if precision == "32-true" else torch.bfloat16}
        while trainer.epoch_due or not trainer.finished:
            trainer.advance()
        rows.append(trainer.state.rows[-1])
        state = [t for values in trainer.optimizer.state.values() for t in values.values() if isinstance(t, Tensor)]
        assert trainer.ema is not None
        kept = [*trainer.network.state_dict().values(), *trainer.ema.weights.values(), *state]
        assert {t.dtype for t in kept if t.is_floating_point()} == {torch.float32}
    assert all(math.isfinite(value) for value in rows[1].values())
    assert rows[1]["train_total"] == pytest.approx(rows[0]["train_total"], rel=0.03)
    assert rows[1]["val_total"] == pytest.approx(rows[0]["val_total"], rel=0.03)


@pytest.mark.parametrize(
    ("setting", "used", "words"), [("auto", "32-true", "32 bits"), ("bf16-mixed",) * 2 + ("bf16",)]
)
def test_the_precision_is_logged_and_kept(
    setting: str, used: str, words: str, small: list[str], photos: Photos, tmp_path: Path
) -> None:
    config = Config.load("demo", [*small, f"train.precision={setting}", "train.evaluate_every=null"])
    config = config.changed("train", epochs=1, steps_per_epoch=1)
    run, network = RunFolder(tmp_path / "run"), build_network(config, 3)
    run.path.mkdir()
    from clothseg.distributed import launch

    fit(network, *photos, config, run, quiet=True, fabric=launch(1, setting, device=torch.device("cpu")))
    assert run.read_facts()["precision"] == used
    assert f"numbers  {words}" in run.log.read_text(encoding="utf-8")


def test_the_forecast_for_a_gpu_is_that_of_its_precision(
    small: list[str], photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (9, 0))
    config, gpu = Config.load("demo", small), torch.device("cuda")
    forecasts = {
        setting: forecast_memory(config.changed("train", precision=setting), *photos, gpu)
        for setting in ("auto", "bf16-mixed", "32-true")
    }
    assert resolve_precision("auto", gpu) == "bf16-mixed"
    assert forecasts["auto"] == forecasts["bf16-mixed"]
    assert forecasts["auto"].activations != forecasts["32-true"].activations
    assert forecasts["auto"].weights == forecasts["32-true"].weights
