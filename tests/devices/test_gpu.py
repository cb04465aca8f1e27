"""The flows of a GPU on a real one; everything here skips where there is none."""

import json
import logging
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torchvision.ops import box_iou

from clothseg.cli import main
from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.distributed import launch
from clothseg.models import Model
from clothseg.networks import build_network
from clothseg.networks.cuda_graphs import CAPTURED_CALL
from clothseg.runs import RunFolder
from clothseg.training import read_history
from clothseg.training.run_log import RunLog
from clothseg.training.trainer import Trainer

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU, and PyTorch finds none"),
]
Photos = tuple[CocoLikeDataset, CocoLikeDataset]
GPU = torch.device("cuda")


@pytest.fixture
def clothseg(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    def call(*words: object) -> int:
        monkeypatch.setattr("sys.argv", ["clothseg", *map(str, words)])
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0)
        return 0

    return call


@pytest.fixture
def limited() -> Iterator[Callable[[int], None]]:
    """Limits what PyTorch may take of the GPU, in bytes; the limit ends with the test."""

    def limit(size: int) -> None:
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(size / torch.cuda.get_device_properties(0).total_memory)

    yield limit
    torch.cuda.set_per_process_memory_fraction(1.0)


def trained(config: Config, photos: Photos, folder: Path, steps: int = 2) -> Trainer:
    run = RunFolder(folder)
    fabric = launch(1, config.train.precision, device=GPU)
    trainer = Trainer(build_network(config, 3), *photos, config, run, RunLog(run.log, quiet=True), fabric)
    while trainer.state.step < steps:
        trainer.advance()
    return trainer


@pytest.mark.parametrize("preset", ["demo", "small", "paper"])
def test_presets_learn_two_steps(preset: str, photos: Photos, tmp_path: Path) -> None:
    config = Config.load(preset, ["weights=random", "train.batch_size=1"])
    trainer = trained(config, photos, tmp_path)
    assert all(math.isfinite(value) for value in trainer.state.sums.values())
    assert {t.device.type for t in trainer.network.state_dict().values()} == {"cuda"}


@pytest.mark.parametrize("precision", ["auto", "32-true", "bf16-mixed", "16-mixed"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_precisions_optimizers_average_and_accumulation(
    precision: str, optimizer: str, small: list[str], photos: Photos, tmp_path: Path
) -> None:
    settings = [f"train.precision={precision}", f"train.optimizer={optimizer}", "train.ema_decay=0.5"]
    trainer = trained(
        Config.load("demo", [*small, *settings, "train.grad_accumulation_steps=2"]), photos, tmp_path, steps=4
    )
    assert trainer.ema is not None
    kept = [*trainer.network.state_dict().values(), *trainer.ema.weights.values()]
    assert all(t.device.type == "cuda" and bool(t.isfinite().all()) for t in kept)
    assert {t.dtype for t in kept if t.is_floating_point()} == {torch.float32}


@pytest.mark.parametrize(("first", "second"), [("cuda", "cpu"), ("cpu", "cuda"), ("cuda", "cuda")])
def test_a_run_continues_on_another_device(
    first: str, second: str, small: list[str], photos: Photos, tmp_path: Path
) -> None:
    config = Config.load("demo", [*small, "train.optimizer=adamw", "train.ema_decay=0.5"])
    model = Model(config).build(photos[0].classes)
    model.fit(*photos, tmp_path / "run", quiet=True, device=first)
    longer = config.extended(1, None)
    Model(longer).build(photos[0].classes).fit(*photos, tmp_path / "run", resume=True, quiet=True, device=second)
    assert [row["epoch"] for row in read_history(tmp_path / "run" / "history.csv")] == [1, 2, 3]


@pytest.mark.parametrize("preset", ["small", "small-yolact", "small-deeplab", "paper"])
def test_graphs_give_the_losses_and_gradients_of_plain_steps(preset: str, photos: Photos, tmp_path: Path) -> None:
    """The same weights, photos and draws; the sums of some gradients differ by their order from call to call."""
    settings = ["weights=random", "train.precision=32-true", "train.stages=[]", "train.workers=0"]
    trainer = trained(Config.load(preset, settings), photos, tmp_path, steps=0)
    network, batch = trainer.network, [(place, 0) for place in range(trainer.config.train.batch_size)]
    found = []
    for _ in range(CAPTURED_CALL + 2):
        network.zero_grad()
        network.generator.manual_seed(0)
        torch.manual_seed(0)
        losses = trainer.examples.losses(batch)
        torch.autograd.backward(losses["total"])
        gradients = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
        found.append(({name: float(loss) for name, loss in losses.items()}, gradients))
        del losses  # as in a step; what it came from would lie on another stream than the capture
    assert (network.graphed_features.reason_unavailable, network.graphed_features.captures) == ("", 1)
    (plain, plain_gradients), (replayed, replayed_gradients) = found[0], found[-1]
    assert replayed == pytest.approx(plain, rel=1e-4)
    assert replayed_gradients.keys() == plain_gradients.keys()
    for name, gradient in replayed_gradients.items():
        scale = float(plain_gradients[name].abs().max())
        torch.testing.assert_close(gradient, plain_gradients[name], rtol=1e-2, atol=1e-2 * scale, msg=name)


def test_graphs_detect_what_the_plain_network_detects(photos: Photos) -> None:
    config = Config.load("small", ["weights=random", "inference.score_threshold=0"])
    network = build_network(config, 3).to(GPU).eval()
    images = [torch.from_numpy(photos[0].load_image(place)).permute(2, 0, 1) for place in range(2)]
    plain, *_, replayed = [network.detect(images) for _ in range(CAPTURED_CALL + 2)]
    assert (network.graphed_dense.reason_unavailable, network.graphed_dense.captures) == ("", 1)
    for one, other in zip(plain, replayed, strict=True):
        assert len(one) > 0
        torch.testing.assert_close(other.scores, one.scores, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(other.boxes, one.boxes, rtol=1e-4, atol=1e-2)


def test_out_of_memory_halves_the_batch(photos: Photos, tmp_path: Path, limited: Callable[[int], None]) -> None:
    settings = ["weights=random", "train.batch_size=3", "train.workers=0", "augment.fixed_views=0"]
    config = Config.load("demo", [*settings, "input.height=1024", "input.width=1024", "backbone.frozen_stages=0"])
    torch.cuda.reset_peak_memory_stats()
    trained(config, photos, tmp_path / "free", steps=1)
    peak = torch.cuda.max_memory_allocated()
    limited(int(peak * 0.8))
    trainer = trained(config, photos, tmp_path / "limited", steps=1)
    assert trainer.state.micro_batches > 1
    assert "out of memory: from here on" in (tmp_path / "limited" / "log.txt").read_text(encoding="utf-8")


def test_commands(
    clothseg: Callable[..., int], data: Path, small: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture,
    recwarn: pytest.WarningsRecorder,
) -> None:  # fmt: skip
    """All commands that run a network, each on the GPU; no advice of libraries is shown."""
    words = [word for setting in small for word in ("--set", setting)]
    run, photo = tmp_path / "run", min((data / "images").glob("*.jpg"))
    with caplog.at_level(logging.INFO):
        assert clothseg("fit", data, "--out", run, "--quiet", "--max-memory", "8GB", *words) == 0
    assert not [record for record in caplog.records if record.name.startswith("lightning")]
    assert not [warning for warning in recwarn if "pin_memory" in str(warning.message)]
    facts = json.loads((run / "run.json").read_text())
    assert facts["device"].startswith("cuda")
    assert facts["precision"] == ("bf16-mixed" if torch.cuda.get_device_capability() >= (8, 0) else "32-true")
    assert clothseg("fit", data, "--out", run, "--quiet", "--more-epochs", 1) == 0
    assert clothseg("fit", data, "--out", tmp_path / "one", "--quiet", "--overfit-one-image", *words) in (0, 1)
    assert clothseg("evaluate", run, data, "--quiet", "--json") == 0
    assert clothseg("predict", run, photo, "--out", tmp_path / "found", "--quiet") == 0
    assert clothseg("cutout", run, photo, "--out", tmp_path / "cut", "--score-threshold", 0, "--quiet") == 0
    garment = min((tmp_path / "cut").glob("*.png"))
    kind = next(name for name in ("Suit", "Dress", "Jeans") if name in garment.stem)
    worn = ["--replace", run, "--class", kind, "--score-threshold", 0, "--out", tmp_path / "worn.png", "--quiet"]
    assert clothseg("compose", garment, photo, *worn) == 0


def test_detections_are_those_of_the_cpu(small: list[str], photos: Photos) -> None:
    """TF32 has 10 bits of fraction, so boxes agree within pixels, not within rounding."""
    torch.manual_seed(0)
    model = Model(Config.load("demo", small)).build(photos[1].classes)
    cpu, gpu = (model.to(place).predict(photos[1].load_image(0)) for place in ("cpu", "cuda"))
    assert gpu.boxes.device.type == "cuda" and len(cpu) == len(gpu)
    best = box_iou(cpu.boxes, gpu.boxes.cpu()).max(dim=1).values
    assert bool((best > 0.9).all())
    torch.testing.assert_close(gpu.scores.cpu(), cpu.scores, atol=0.02, rtol=0)
    assert gpu.masks.pixels().shape == cpu.masks.pixels().shape
