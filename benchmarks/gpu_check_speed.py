"""The speeds, counts and profiles that `gpu_check.py` measures.

Not a benchmark itself: run alone, it does nothing.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from unittest.mock import patch

import torch
from torch.profiler import ProfilerActivity, profile

import detect_against_torchvision as detect
import train_against_torchvision as train
from clothseg import CocoLikeDataset, Config, cpu_path
from clothseg.devices import float32_products, has_tf32, resolve_precision
from clothseg.distributed import launch
from clothseg.instances import encode_photos
from clothseg.networks import build_network
from clothseg.networks.dispatch_counts import DispatchCounts
from clothseg.runs import RunFolder
from clothseg.training.examples import ExampleQueue
from clothseg.training.run_log import RunLog
from clothseg.training.step import training_step
from clothseg.training.trainer import Trainer
from gpu_check_tools import CLASSES, Part, Row, Setup, repeat

TURNS = 15
SECONDS = 6.0
"""Turns of both sides of a ratio, and seconds after which no further one starts."""
EPOCHS, STEPS = 120, 131
"""Of the preset `paper`."""


def precision_of(setup: Setup) -> str:
    """What `train.precision: auto` is on the device; both sides of a ratio use it."""
    return resolve_precision("auto", setup.device)


def detect_ratio(setup: Setup, case: detect.Case, target: float) -> list[Row]:
    """Network and masks of one batch, in the same numbers on both sides: TF32 where the device has it."""
    place = str(setup.device)
    network, reference = detect.build_networks(case, place)
    images = detect.load_photos(case, place)
    calls = (
        lambda: detect.time_call(lambda: detect.run_clothseg(network, images), setup.device.type)[0],
        lambda: detect.time_call(lambda: detect.run_torchvision(reference, images), setup.device.type)[0],
    )
    with torch.no_grad(), float32_products(setup.device, tf32=has_tf32(setup.device)):
        own, other = map(statistics.median, repeat(calls, SECONDS, TURNS))
    size = "x".join(map(str, reversed(case.photo_size)))
    name = f"detect {size} at {case.size}, batch {case.batch}, {case.detections} masks"
    return [ratio_row(setup, name, own, other, target)]


def ratio_row(setup: Setup, name: str, own: float, other: float, target: float) -> Row:
    """The row of a ratio, from seconds of clothseg and of torchvision."""
    text = f"{other / own:.2f} ({1000 * own:.0f} / {1000 * other:.0f} ms)"
    return Row(f"{name}: ratio", text, f"{target:g}", setup.verdict(other / own >= target))


def train_options(setup: Setup, *, paper: bool) -> argparse.Namespace:
    """The options of `train_against_torchvision.py`, smaller on a CPU."""
    size, batch = (512, 1 if paper else 4) if setup.on_gpu else (256, 1)
    return argparse.Namespace(
        paper=paper, size=size, batch=batch, workers=6 if setup.on_gpu else 1, steps=TURNS,
        device=setup.device.type, precision=precision_of(setup),
    )  # fmt: skip


def step_ratio(setup: Setup, *, paper: bool, target: float) -> list[Row]:
    """Loader and step of both sides; with `paper`, on a GPU, also how long 120 epochs would take."""
    options = train_options(setup, paper=paper)
    steps = [train.make_step(side, setup.photos, options) for side in train.SIDES]
    with float32_products(setup.device, tf32=options.precision != "32-true"):
        calls = [partial(train.time_call, step) for step in steps]
        times = repeat(calls, 2 * SECONDS, TURNS, least=2 if setup.on_gpu else 1)
    own, other = map(statistics.median, times)
    name = "step, paper, batch 1" if paper else f"step, R50 at {options.size}, batch {options.batch}"
    rows = [ratio_row(setup, f"{name}, {options.precision}", own, other, target)]
    if paper and setup.on_gpu:
        validation = seconds_of_validation(setup)
        minutes = EPOCHS * (STEPS * own + validation) / 60
        said = f"{minutes:.1f} min ({1000 * own:.0f} ms a step, {validation:.1f} s for the sample's validation photos)"
        name = f"paper, {EPOCHS} epochs of {STEPS} steps and validation, all layers, computed"
        rows.append(Row(name, said, "10 min", setup.verdict(minutes <= 10)))
    return rows


def seconds_of_validation(setup: Setup) -> float:
    """How long the validation after an epoch of `paper` takes, without COCO's metrics."""
    trainer = make_trainer(setup, "paper", ["weights=random", "train.stages=[]"])
    trainer.validator.validate(1, 1)
    started = time.monotonic()
    trainer.validator.validate(1, 1)
    seconds = time.monotonic() - started
    trainer.pool.close()
    return seconds


def make_trainer(setup: Setup, preset: str, settings: list[str]) -> Trainer:
    """A training of a preset on all photos of the sample, before its first step."""
    data, val = (CocoLikeDataset().load_data(setup.photos, split).prepare() for split in ("train", "val"))
    config = Config.load(preset, settings)
    folder = setup.folder / f"speed-{preset}"
    folder.mkdir(exist_ok=True)
    fabric = launch(1, config.train.precision, device=setup.device)
    network = build_network(config, len(CLASSES))
    return Trainer(network, data, val, config, RunFolder(folder), RunLog(folder / "log.txt", quiet=True), fabric)


def small_steps(setup: Setup) -> list[Row]:
    """Steps of the preset `small` in a second, with loading and augmentation, after the first ones."""
    trainer = make_trainer(setup, "small", ["weights=random"])
    try:
        with float32_products(setup.device, tf32=trainer.precision != "32-true"):
            for _ in range(20 if setup.on_gpu else 2):
                trainer.step()
            steps, started = 0, time.monotonic()
            while time.monotonic() < started + SECONDS:
                trainer.step()
                steps += 1
            seconds = time.monotonic() - started
    finally:
        trainer.pool.close()
    rate = steps / seconds
    loading = trainer.pool.description
    return [Row("small", f"{rate:.1f} steps/s, loaded by {loading}", "40 steps/s", setup.verdict(rate >= 40))]


def counts_of_a_step(setup: Setup) -> list[Row]:
    """Operations and reads of the path of a GPU, run on the CPU: the same on every machine."""
    cpu = Setup(torch.device("cpu"), setup.folder / "counts", setup.shared)
    cpu.folder.mkdir(exist_ok=True)
    vars(cpu)["photos"] = setup.photos  # not built again
    sizes = ["input.min_side=128", "input.max_side=128", "train.precision=32-true", "train.workers=0"]
    trainer = make_trainer(cpu, "paper", ["weights=random", *sizes, "train.stages=[]", "train.ema_decay=0.99"])
    example = trainer.examples.queue.source.load(0, 0)
    with (
        patch.object(cpu_path, "uses_cpu_path", lambda tensor: False),
        patch.object(ExampleQueue, "take", lambda *_: example),
    ):
        for step in (1, 2):  # constants are computed once
            with DispatchCounts() as counts:
                training_step(
                    trainer.examples, [[(0, 0)]], trainer.optimizer, trainer.ema, trainer.config.train,
                    trainer.fabric, trainer.distributed, step=step,
                )  # fmt: skip
    operations, reads = counts.operations.total(), counts.reads.total()
    row = partial(Row, "paper, operations and reads of a step (path of a GPU, on the CPU)")
    verdict = "pass" if operations <= 1200 and reads <= 5 else "miss"
    return [row(f"{operations} operations, {reads} reads", "1200 and 5", verdict)]


def profile_of(setup: Setup, name: str, run: Callable[[], object], repeats: int = 5) -> list[Row]:
    """Launches, waits and the share of the time in which the GPU is busy, for one call of `run`."""
    if not setup.on_gpu:
        return [Row(f"{name}: profile", "launches and waits are those of a GPU", verdict="not run")]
    for _ in range(3):
        run()
    torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(repeats):
        run()
    torch.cuda.synchronize()
    alone = (time.perf_counter() - started) / repeats  # the profiler itself takes time
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
        for _ in range(repeats):
            run()
        torch.cuda.synchronize()
    events = found.events() or []
    names = [event.name for event in events]
    launches = sum("LaunchKernel" in event for event in names) / repeats
    waits = sum("Synchronize" in event for event in names) / repeats
    kernels = [event for event in events if event.device_type.name == "CUDA"]
    busy = sum(event.self_device_time_total for event in kernels) / repeats / 1e6
    said = f"{launches:.0f} launches, {waits:.1f} waits, GPU busy {1000 * busy:.1f} of {1000 * alone:.1f} ms"
    return [Row(f"{name}: profile", f"{said} ({busy / alone:.0%})", verdict="-")]


def profile_step(setup: Setup) -> list[Row]:
    """The profile of a step of `paper`, all layers, with the loader."""
    settings = ["weights=random", "train.stages=[]"]
    if not setup.on_gpu:
        return profile_of(setup, "step, paper", lambda: None)
    trainer = make_trainer(setup, "paper", settings)
    try:
        with float32_products(setup.device, tf32=True):
            return profile_of(setup, f"step, paper, {trainer.precision}", trainer.step)
    finally:
        trainer.pool.close()


def profile_detect(setup: Setup) -> list[Row]:
    """The profile of detecting 100 objects, with their masks as run lengths."""
    case = detect.Case(512, False, 1, 100, False)
    if not setup.on_gpu:
        return profile_of(setup, "detect, 100 masks as run lengths", lambda: None)
    network, _ = detect.build_networks(case, str(setup.device))
    images = detect.load_photos(case, str(setup.device))

    def run() -> None:
        encode_photos([found.masks for found in network.detect(images)])

    with torch.no_grad(), float32_products(setup.device, tf32=has_tf32(setup.device)):
        return profile_of(setup, "detect, 100 masks as run lengths", run)


def speeds(*, on_gpu: bool) -> dict[str, Part]:
    """The parts by name; the inputs of a CPU are smaller."""
    small, large = (512, 800) if on_gpu else (256, 320)
    batch = 4 if on_gpu else 1
    cases = [
        (detect.Case(small, False, 1, 10, False), 1.5),
        (detect.Case(small, False, 1, 100, False), 2.0),
        (detect.Case(large, True, batch, 100, False), 2.0),
    ]
    return {
        "counts": counts_of_a_step,
        **{f"detect, case {n}": partial(detect_ratio, case=c, target=t) for n, (c, t) in enumerate(cases, 1)},
        "step, paper": partial(step_ratio, paper=True, target=2.0),
        "step, R50": partial(step_ratio, paper=False, target=1.5),
        "small": small_steps,
        "profile of a step": profile_step,
        "profile of detecting": profile_detect,
    }
