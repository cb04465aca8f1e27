"""The flows that `gpu_check.py` runs: every command and setting that uses a device, on small data.

Not a benchmark itself: run alone, it does nothing.
"""

import importlib.util
import io
import json
import signal
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from unittest.mock import patch

import torch
from torch import Tensor

from clothseg.cli import main
from clothseg.dataset import Batch
from clothseg.devices import describe_precision
from clothseg.photos import read_photo
from clothseg.training import Examples, read_history
from clothseg.training.trainer import Trainer
from gpu_check_tools import NotHereError, Part, Row, Setup, finite

TINY = [
    "weights=random",
    "backbone.name=resnet18",
    "train.workers=1",
    "train.worker_type=thread",
    "input.height=96",
    "input.width=64",
    "network.fpn.channels=16",
    "network.box_head.fc_dim=32",
    "network.mask_head.channels=16",
    "inference.max_detections=3",
    "inference.score_threshold=0",
    "train.epochs=2",
    "train.steps_per_epoch=2",
    "train.batch_size=2",
    "train.ema_decay=0.5",
]


def call(*words: object, codes: tuple[int, ...] = (0,)) -> str:
    """Runs a command of clothseg in this process; returns what it prints.

    Raises:
        RuntimeError: it ended with an exit code that is not among `codes`.
    """
    said, code = io.StringIO(), 0
    with patch.object(sys, "argv", ["clothseg", *map(str, words)]), redirect_stdout(said), redirect_stderr(said):
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    if code not in codes:
        raise RuntimeError(f"exit code {code}: {' '.join(said.getvalue().split())[-300:]}")
    return said.getvalue()


def fit(setup: Setup, name: str, *words: object, settings: list[str], codes: tuple[int, ...] = (0,)) -> Path:
    """Trains on the few photos; returns the run's folder."""
    run = setup.folder / name
    pairs = [word for setting in settings for word in ("--set", setting)]
    call("fit", setup.few, "--out", run, "--device", setup.device, "--quiet", *words, *pairs, codes=codes)
    return run


def history_line(run: Path) -> str:
    """What a run reached.

    Raises:
        RuntimeError: a loss is not finite, or the run is on another device.
    """
    rows = read_history(run / "history.csv")
    losses = [row[f"{split}_total"] for row in rows for split in ("train", "val")]
    if not finite(losses):
        raise RuntimeError(f"a loss is not finite: {losses}")
    facts = json.loads((run / "run.json").read_text(encoding="utf-8"))
    epochs = "1 epoch" if len(rows) == 1 else f"{len(rows)} epochs"
    return f"{epochs}, loss {losses[-2]:.2f}, {facts['device']}, {facts['precision']}"


def fit_preset(setup: Setup, preset: str) -> str:
    """Two steps of a preset with all its settings; smaller inputs on a CPU."""
    settings = ["train.epochs=1", "train.steps_per_epoch=2", "train.stages=[]"]
    if preset == "paper":
        settings += ["weights=random", *([] if setup.on_gpu else ["input.min_side=128", "input.max_side=128"])]
    return history_line(fit(setup, f"preset-{preset}", "--config", preset, settings=settings))


def fit_precision(setup: Setup, optimizer: str, precision: str) -> str:
    """EMA, an accumulated gradient, one of the optimizers and one of the precisions."""
    if precision == "16-mixed" and not setup.on_gpu:
        raise NotHereError("16 bits need a GPU")
    settings = [f"train.optimizer={optimizer}", f"train.precision={precision}", "train.grad_accumulation_steps=2"]
    run = fit(setup, f"{optimizer}-{precision}", settings=[*TINY, "train.batch_size=1", *settings])
    return history_line(run)


def trained(setup: Setup) -> Path:
    """A small run, trained once for all flows that use one."""
    if "run" not in setup.shared:
        setup.shared["run"] = fit(setup, "run", settings=TINY)
        call("evaluate", setup.shared["run"], setup.few, "--device", setup.device, "--quiet")
    return setup.shared["run"]


def resume(setup: Setup) -> str:
    """Ctrl-C after three steps, then `--resume`; on a GPU a second time on the CPU, for one more epoch."""
    advance, calls = Trainer.advance, 0

    def interrupted(trainer: Trainer) -> None:
        nonlocal calls
        calls += 1
        advance(trainer)
        if calls == 3:
            signal.raise_signal(signal.SIGINT)

    with patch.object(Trainer, "advance", interrupted):
        run = fit(setup, "stopped", settings=TINY, codes=(1,))
    call("fit", setup.few, "--out", run, "--device", setup.device, "--quiet", "--resume")
    call("fit", setup.few, "--out", run, "--device", "cpu", "--quiet", "--more-epochs", 1)
    if len(rows := read_history(run / "history.csv")) != 3:
        raise RuntimeError(f"{len(rows)} epochs instead of 3")
    return f"stopped after step 2, continued on {setup.device}, one more epoch on the CPU"


def extend(setup: Setup) -> str:
    """`--more-epochs` of a finished run."""
    run = fit(setup, "longer", settings=TINY)
    call("fit", setup.few, "--out", run, "--device", setup.device, "--quiet", "--more-epochs", 1)
    return history_line(run)


def out_of_memory(setup: Setup) -> str:
    """The batch is halved: with half of the memory of a step on a GPU, pretended on a CPU."""
    settings = [*TINY, "train.epochs=1", "train.feature_cache_mb=0"]
    if not setup.on_gpu:
        losses = Examples.losses

        def fail(examples: Examples, batch: Batch) -> dict[str, Tensor]:
            if len(batch) > 1 and torch.is_grad_enabled():
                raise torch.OutOfMemoryError("pretended: CUDA out of memory")
            return losses(examples, batch)

        with patch.object(Examples, "losses", fail):
            run = fit(setup, "no-room", settings=settings)
    else:
        settings += ["train.batch_size=4", "input.height=1024", "input.width=1024", "backbone.frozen_stages=0"]
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(setup.device)
        fit(setup, "room", settings=settings)
        device = torch.cuda.current_device() if setup.device.index is None else setup.device.index
        total = torch.cuda.get_device_properties(device).total_memory
        limit = 0.8 * torch.cuda.max_memory_allocated(setup.device)
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(limit / total, device)
        try:
            run = fit(setup, "no-room", settings=settings)
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0, device)
    found = [line for line in (run / "log.txt").read_text(encoding="utf-8").splitlines() if "out of memory" in line]
    if not found:
        raise RuntimeError("the run did not go out of memory")
    return found[0][found[0].index("out of memory") :][:90] + ("" if setup.on_gpu else " (pretended)")


def overfit(setup: Setup) -> str:
    """One photo is learned or not; both are an answer of a network this small."""
    fit(setup, "one", "--overfit-one-image", settings=TINY, codes=(0, 1))
    return "a picture of truth and detections"


def max_memory(setup: Setup) -> str:
    """The forecast of memory chooses settings."""
    return history_line(fit(setup, "budget", "--max-memory", "8GB", settings=TINY))


def evaluate(setup: Setup) -> str:
    """`evaluate` with the JSON that it prints."""
    said = call("evaluate", trained(setup), setup.few, "--device", setup.device, "--quiet", "--json", "--overwrite")
    found = json.loads(said)
    return f"{found['detections']} detections on {found['photos']} photos"


def predict(setup: Setup) -> str:
    """Photos in batches: COCO results with run lengths, pictures, label maps."""
    photos, out = setup.few / "images", setup.folder / "found"
    kinds = [word for kind in ("coco", "pictures", "class-maps", "instance-maps") for word in ("--format", kind)]
    call("predict", trained(setup), photos, "--out", out, "--batch", 3, *kinds, "--device", setup.device, "--quiet")
    return f"{len(json.loads((out / 'predictions.json').read_text(encoding='utf-8')))} detections"


def predict_video(setup: Setup) -> str:
    """A video of three frames, made here."""
    if importlib.util.find_spec("av") is None:
        raise NotHereError("PyAV is not installed (extra: video)")
    from fractions import Fraction  # noqa: PLC0415 - only here

    from clothseg.videos import write_video  # noqa: PLC0415 - needs PyAV

    photo = read_photo(min((setup.few / "images").glob("*.jpg")))
    film = setup.folder / "clip.mp4"
    with write_video(film, Fraction(25), Fraction(1, 25)) as writer:
        for stamp in range(3):
            writer.add(photo, stamp)
    out = setup.folder / "film"
    call("predict", trained(setup), film, "--out", out, "--device", setup.device, "--quiet")
    return f"{len(list(out.rglob('*.mp4')))} video with detections"


def cut_and_compose(setup: Setup) -> str:
    """Garments are cut out of a photo, and one of them is put onto the same photo."""
    photo, cut, run = min((setup.few / "images").glob("*.jpg")), setup.folder / "cut", trained(setup)
    where = ["--score-threshold", 0, "--device", setup.device, "--quiet"]
    call("cutout", run, photo, "--out", cut, *where)
    garments = sorted(cut.glob("*.png"))
    kind = next(name for name in ("Suit", "Dress", "Jeans") if name in garments[0].stem)
    call("compose", garments[0], photo, "--replace", run, "--class", kind, "--out", cut / "worn.png", *where)
    return f"{len(garments)} cut-outs, one composition"


def figures(setup: Setup) -> str:
    """Pictures of the evaluated run."""
    out = setup.folder / "figures"
    call("figures", trained(setup), "--out", out, "--all", "--score-threshold", 0, "--quiet")
    return f"{len(list(out.rglob('*.png')) + list(out.rglob('*.jpg')))} pictures"


def compare(setup: Setup) -> str:
    """Two evaluated runs on one page."""
    other = fit(setup, "other", settings=[*TINY, "train.seed=1"])
    call("evaluate", other, setup.few, "--device", setup.device, "--quiet")
    call("compare", trained(setup), other, "--out", setup.folder / "compare", "--quiet")
    return "two runs on one page"


def _as_part(name: str, flow: Callable[[Setup], str]) -> Part:
    return lambda setup: [Row(name, flow(setup))]


PRECISIONS = [("adamw", "auto"), ("sgd", "32-true"), ("adamw", "bf16-mixed"), ("sgd", "16-mixed")]
_FLOWS: dict[str, Callable[[Setup], str]] = {
    **{f"fit, preset {p}": partial(fit_preset, preset=p) for p in ("demo", "small", "paper")},
    **{f"fit, {o}, {p}, EMA, accumulated": partial(fit_precision, optimizer=o, precision=p) for o, p in PRECISIONS},
    "fit, stopped and resumed": resume,
    "fit, more epochs": extend,
    "fit, out of memory": out_of_memory,
    "fit, one photo": overfit,
    "fit, memory budget": max_memory,
    "evaluate": evaluate,
    "predict, photos": predict,
    "predict, video": predict_video,
    "cutout and compose": cut_and_compose,
    "figures": figures,
    "compare": compare,
}
FLOWS = {name: _as_part(name, flow) for name, flow in _FLOWS.items()}
"""By name, in the order in which they run."""


def describe(setup: Setup) -> str:
    """The device and the precision that `auto` takes there, for the headline."""
    name = torch.cuda.get_device_name(setup.device) if setup.on_gpu else setup.device.type
    precision = "bf16-mixed" if setup.on_gpu and torch.cuda.get_device_capability(setup.device) >= (8, 0) else "32-true"
    return f"{name}; {describe_precision(precision, setup.device)}"  # type: ignore[arg-type]
