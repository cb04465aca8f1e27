"""Memory: the forecast against counts of real steps, activations computed again, batches halved when it runs out."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset, load_example
from clothseg.errors import RunError, SpoiledRun
from clothseg.models import MaskRCNN
from clothseg.networks import MaskRCNNNetwork, build_network
from clothseg.networks.mask_rcnn.memory_probe import outline_loss
from clothseg.runs import RunFolder
from clothseg.training import Examples, read_checkpoint, read_history
from clothseg.training.gradients import gradients
from clothseg.training.history import Row
from clothseg.training.memory.device import free_memory
from clothseg.training.memory.forecast import forecast, photo_needs
from clothseg.training.memory.oom import is_shortage, split_batches
from clothseg.training.memory.tensors import LiveBytes
from clothseg.training.team import Team, start_processes
from clothseg.training.validation import Judge

SMALL = [
    "picture.height=96",
    "picture.width=64",
    "pyramid.channels=32",
    "boxes.hidden=64",
    "mask.channels=32",
    "train.epochs=2",
    "train.steps_per_epoch=3",
    "train.batch_size=2",
    "train.warmup_steps=1",
    "augment.copies=2",
]
CPU = torch.device("cpu")


def load(data: Path) -> tuple[CocoLikeDataset, CocoLikeDataset]:
    train, val = (CocoLikeDataset().load_data(data, split).prepare() for split in ("train", "val"))
    return train, val


def test_live_bytes_by_hand() -> None:
    with LiveBytes() as live:
        one = torch.zeros(1000)  # 4000 bytes
        two = one.view(10, 100) + 1  # 4000 more; the view is none
        del one
        assert (live.now, live.peak) == (4000, 8000)
        two.mul_(2)
        half = two.half()
        assert (live.now, live.peak) == (6000, 8000)
    del two, half
    assert live.now == 0


def saved_bytes(network: MaskRCNNNetwork, compute: Callable[[], torch.Tensor]) -> int:
    """Bytes that autograd keeps for the backward pass, the weights left out: each storage once."""
    known = {t.untyped_storage().data_ptr() for t in network.state_dict().values()}
    found: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = compute()
    del loss
    return sum(found.values())


@pytest.mark.parametrize("trunk", ["timm/tf_efficientnet_lite0", "resnet18"])
def test_the_outline_keeps_what_a_real_step_keeps(trunk: str, data: Path) -> None:
    """Within 10 % of what autograd's own hooks see in a step on two photos, every proposal being an object there."""
    size = ["picture.height=256", "picture.width=192", "boxes.foreground_iou=0", "boxes.background_iou=0"]
    more = [f"backbone.name={trunk}", "backbone.frozen_stages=2", "boxes.positive_share=1"]
    config = Config.load("demo", [*SMALL, *size, *more])
    train, _ = load(data)
    network = build_network(config, 3)
    examples = [load_example(train, position, None) for position in (0, 1)]
    counted = saved_bytes(
        network, lambda: network.losses([image for image, _ in examples], [truth for _, truth in examples])["total"]
    )
    with torch.device("meta"):
        empty = build_network(config, 3)
        with LiveBytes() as live:
            loss = outline_loss(empty, empty.backbone.frozen_part(torch.empty((2, 3, 256, 192))), objects=1)
    assert live.now == pytest.approx(counted, rel=0.1)
    del loss


def test_weights_gradients_and_optimizer_are_those_of_a_real_step(data: Path) -> None:
    train, val = load(data)
    for overrides in ([], ["train.optimizer=sgd", "backbone.frozen_stages=5"], ["train.average=0.9"]):
        config = Config.load("demo", [*SMALL, *overrides])
        foretold = forecast(config, 3, photo_needs(train, config), photo_needs(val, config), CPU, 7)
        network = build_network(config, 3)
        trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
        everything = sum(p.numel() for p in network.parameters())
        assert foretold.gradients == 4 * trained
        states = 2 if config.train.optimizer == "adamw" else 1
        assert foretold.optimizer == pytest.approx(4 * states * trained, rel=0.01)
        assert foretold.average == (4 * everything if overrides == ["train.average=0.9"] else 0)
        tensors = network.state_dict().values()
        assert foretold.weights == sum(t.nbytes for t in tensors) >= 4 * everything


def gradients_of(config: Config, data: Path) -> tuple[dict[str, float], list[torch.Tensor]]:
    """Losses and all gradients of two photos."""
    train, _ = load(data)
    network = build_network(config, 3).train()
    examples = Examples(network, train, config, augmented=True)
    team = Team(start_processes(config, 1))
    values, broken = gradients(examples, [[(0, 0), (1, 1)]], torch.autograd.backward, team)
    assert broken is None
    return values, [p.grad for p in network.parameters() if p.grad is not None]


@pytest.mark.parametrize("trunk", ["timm/tf_efficientnet_lite0", "resnet18"])
def test_activations_computed_again_change_no_number(trunk: str, data: Path) -> None:
    answers = []
    for again in ("true", "false"):
        with_dropout = ["backbone.dropout=0.1"] if trunk == "resnet18" else []
        more = [f"backbone.name={trunk}", "backbone.frozen_stages=1", *with_dropout]
        torch.manual_seed(5)  # of dropout
        answers.append(
            gradients_of(Config.load("demo", [*SMALL, *more, f"train.checkpoint_activations={again}"]), data)
        )
    (losses, changes), (other_losses, other_changes) = answers
    assert losses == other_losses
    assert len(changes) == len(other_changes) > 50
    assert all(torch.equal(a, b) for a, b in zip(changes, other_changes, strict=True))


def test_activations_computed_again_need_less() -> None:
    """Most bytes that live at once in a trunk's forward and backward pass; without numbers, so that it is quick."""
    config = Config.load("demo", ["backbone.name=resnet50", "backbone.frozen_stages=0"])
    peaks = []
    for again in (True, False):
        with torch.device("meta"), LiveBytes() as live:
            trunk = build_network(config, 3).backbone
            trunk.recompute = again
            start = live.now
            torch.autograd.backward(torch.stack([x.sum() for x in trunk(torch.empty(16, 3, 256, 256))]).sum())
        peaks.append(live.peak - start)
    assert peaks[0] < 0.7 * peaks[1]


SHORTAGES = (
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:118] . DefaultCPUAllocator: can't allocate memory: you tried ..."),
    MemoryError(),
)


def planted(monkeypatch: pytest.MonkeyPatch, most: int, error: BaseException) -> list[int]:
    """Let `losses` fail with more than `most` photos at once; returns the sizes that are tried."""
    losses, tried = Examples.losses, []

    def short(examples: Examples, batch: list[tuple[int, int]]) -> dict[str, torch.Tensor]:
        tried.append(len(batch))
        answer = losses(examples, batch)  # draws were made, as in a real shortage
        if len(batch) > most and torch.is_grad_enabled():
            raise error
        return answer

    monkeypatch.setattr(Examples, "losses", short)
    return tried


@pytest.mark.parametrize("error", SHORTAGES, ids=lambda error: type(error).__name__)
def test_a_shortage_halves_the_batch(
    error: BaseException, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is learned is then, bit for bit, what a run with half the batch and twice the accumulation learns."""
    train, val = load(data)
    small = [*SMALL, "train.accumulate=2", "train.batch_size=1"]
    MaskRCNN(Config.load("demo", small)).build(train.classes).fit(train, val, tmp_path / "small", quiet=True)
    tried = planted(monkeypatch, 1, error)
    MaskRCNN(Config.load("demo", SMALL)).build(train.classes).fit(train, val, tmp_path / "large", quiet=True)
    log = RunFolder(tmp_path / "large").log.read_text()
    assert log.count("memory ran out") == 1
    assert "1 of the 2 photos" in log
    assert tried[:3] == [2, 1, 1]
    one, other = (read_checkpoint(RunFolder(tmp_path / name).last) for name in ("small", "large"))
    assert (one.parts, other.parts) == (1, 2)
    assert all(torch.equal(one.network[name], other.network[name]) for name in one.network)
    rows = [read_history(tmp_path / name / "history.csv") for name in ("small", "large")]
    assert [row | {"seconds": 0} for row in rows[0]] == [row | {"seconds": 0} for row in rows[1]]


def test_a_halved_batch_is_remembered(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config.load("demo", SMALL)
    train, val = load(data)
    planted(monkeypatch, 1, SHORTAGES[1])
    folder = RunFolder(tmp_path / "run")
    MaskRCNN(config).build(train.classes).fit(train, val, folder.path, quiet=True)
    monkeypatch.undo()
    tried = planted(monkeypatch, 2, SHORTAGES[1])
    longer = MaskRCNN(config.extended(1)).build(train.classes)
    longer.fit(train, val, folder.path, resume=True, quiet=True)
    assert set(tried) == {1}


def test_one_photo_that_does_not_fit_is_told(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config.load("demo", SMALL)
    train, val = load(data)
    planted(monkeypatch, 0, SHORTAGES[2])
    with pytest.raises(RunError, match=r"one photo alone.*checkpoint_activations"):
        MaskRCNN(config).build(train.classes).fit(train, val, tmp_path / "run", quiet=True)
    assert "not kept any more" in RunFolder(tmp_path / "run").log.read_text()


def test_a_shortage_in_the_validation_halves_the_batch(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config.load("demo", SMALL)
    train, val = load(data)
    look, tried = Judge.look, []

    def short(judge: Judge, epoch: int, parts: int) -> Row:
        tried.append((epoch, parts))
        if parts == 1:
            raise SHORTAGES[1]
        return look(judge, epoch, parts)

    monkeypatch.setattr(Judge, "look", short)
    folder = RunFolder(tmp_path / "run")
    MaskRCNN(config).build(train.classes).fit(train, val, folder.path, quiet=True)
    assert tried == [(1, 1), (1, 2), (2, 2)]
    assert folder.log.read_text().count("memory ran out") == 1
    assert [row["epoch"] for row in read_history(folder.history)] == [1, 2]
    assert read_checkpoint(folder.last).parts == 2


def test_a_shortage_while_weights_change_keeps_the_last_checkpoint(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part of the weights may have changed, so that state is not saved over the one before."""
    config = Config.load("demo", [*SMALL, "train.optimizer=adamw"])
    train, val = load(data)
    step, steps = torch.optim.AdamW.step, []

    def short(optimizer: torch.optim.AdamW, closure: None = None) -> None:
        steps.append(1)
        if len(steps) == 5:
            next(p for p in optimizer.param_groups[0]["params"]).data.zero_()
            raise SHORTAGES[1]
        step(optimizer, closure)

    monkeypatch.setattr(torch.optim.AdamW, "step", short)
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(SpoiledRun, match=r"memory ran out while the weights were changed.*--resume"):
        MaskRCNN(config).build(train.classes).fit(train, val, folder.path, quiet=True)
    assert read_checkpoint(folder.last).step == 3
    monkeypatch.undo()
    MaskRCNN(config).build(train.classes).fit(train, val, folder.path, resume=True, quiet=True)
    whole = RunFolder(tmp_path / "whole")
    MaskRCNN(config).build(train.classes).fit(train, val, whole.path, quiet=True)
    one, other = (read_checkpoint(run.last).network for run in (folder, whole))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_another_error_is_no_shortage() -> None:
    assert not is_shortage(RuntimeError("mat1 and mat2 shapes cannot be multiplied (3x4 and 5x6)"))
    assert not is_shortage(KeyError("out of memory"))


def test_batches_in_parts() -> None:
    assert split_batches([[1, 2, 3], [4, 5]], 1) == [[1, 2, 3], [4, 5]]
    assert split_batches([[1, 2, 3], [4, 5]], 2) == [[1], [2, 3], [4], [5]]
    assert split_batches([[1, 2, 3], [4, 5]], 4) == [[1], [2], [3], [4], [5]]


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_free_memory_is_the_least_of_machine_and_groups(tmp_path: Path) -> None:
    """Files as Linux has them: 8 GB free; a group of 2 GB with 1.5 in use, 0.3 of which are copies of files."""
    write(tmp_path, {"proc/meminfo": "MemTotal: 9000000 kB\nMemAvailable: 8000000 kB\n"})
    assert free_memory(CPU, tmp_path) == 8_000_000 * 1024
    write(tmp_path, {"proc/self/cgroup": "0::/a/b\n"})
    group = {
        "memory.max": "2000000000",
        "memory.current": "1500000000",
        "memory.stat": "anon 5\ninactive_file 300000000",
    }
    write(tmp_path / "sys/fs/cgroup/a", group)
    write(tmp_path / "sys/fs/cgroup/a/b", {"memory.max": "max", "memory.current": "1400000000"})
    assert free_memory(CPU, tmp_path) == 800_000_000
    write(tmp_path, {"proc/self/cgroup": "4:memory:/c\n1:cpu:/\n"})
    old = {"memory.limit_in_bytes": "9223372036854771712", "memory.usage_in_bytes": "5"}
    write(tmp_path / "sys/fs/cgroup/memory", old)
    write(tmp_path / "sys/fs/cgroup/memory/c", old | {"memory.limit_in_bytes": "105"})
    assert free_memory(CPU, tmp_path) == 100
    assert free_memory(CPU, tmp_path / "nothing") is None
