"""The training loop, to be read from top to bottom."""

import math
import time
from dataclasses import replace
from pathlib import Path

import torch
from lightning_fabric import Fabric
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn

from clothseg.config import Config, Train
from clothseg.dataset import CocoLikeDataset, Sampler
from clothseg.errors import DataError, InterruptedRun, RunError
from clothseg.networks import MaskRCNNNetwork
from clothseg.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from clothseg.training.examples import Examples, mean_losses
from clothseg.training.history import Row, write_history
from clothseg.weights import write_network


def fit(
    network: MaskRCNNNetwork,
    train: CocoLikeDataset,
    val: CocoLikeDataset,
    config: Config,
    run: Path,
    *,
    resume: bool = False,
    quiet: bool = False,
) -> list[Row]:
    """Train `network` and write the run: configuration, history, checkpoints `last` and `best`, weights.

    Args:
        network: built for the data sets' classes, on the CPU; it is moved to the best device there is.
        train, val: prepared data sets.
        config: what `network` was built from.
        run: folder of the run.
        resume: go on from `checkpoints/last.pt` of `run`.
        quiet: show no progress bar.

    Returns:
        the rows of `history.csv`.

    Raises:
        DataError: a data set without photos.
        RunError: a loss that is not finite; the checkpoint to resume from is missing or damaged.
        InterruptedRun: Ctrl-C; the state is saved.
    """
    if not len(train) or not len(val):
        raise DataError("training needs at least one photo in train and one in val")
    settings = config.train
    fabric = Fabric(accelerator="auto", devices=1)
    optimizer = _optimizer(network, settings)
    model, optimizer = fabric.setup(network, optimizer)
    model.mark_forward_method("losses")
    model.mark_forward_method("losses_prepared")
    sampler = Sampler(len(train), settings.batch_size, config.augment.copies, settings.seed)
    per_epoch = settings.steps_per_epoch or math.ceil(len(train) / settings.batch_size)
    examples, checks = Examples(model, train, config, augmented=True), Examples(model, val, config, augmented=False)
    last, best = run / "checkpoints" / "last.pt", run / "checkpoints" / "best.pt"
    state = Checkpoint(0, {}, {}, {}, network.generator.get_state(), [], {}, math.inf, 0.0)
    if resume:
        state = read_checkpoint(last)
        network.load_state_dict(state.network)
        optimizer.load_state_dict(state.optimizer)
        sampler.load_state_dict(state.sampler)
        network.generator.set_state(state.generator)

    def snapshot() -> Checkpoint:
        return replace(
            state,
            network=network.state_dict(),
            optimizer=optimizer.state_dict(),
            sampler=sampler.state_dict(),
            generator=network.generator.get_state(),
            seconds=state.seconds + time.monotonic() - begun,
        )

    begun = time.monotonic()
    model.train()
    with _progress(quiet) as progress:
        bar = progress.add_task("training", total=settings.epochs * per_epoch, completed=state.step, losses="")
        try:
            while state.step < settings.epochs * per_epoch:
                for group in optimizer.param_groups:
                    group["lr"] = group["initial_lr"] * rate_factor(state.step, settings, settings.epochs * per_epoch)
                before = snapshot_cursor(sampler, network)
                try:
                    batch = sampler.next_batch()
                    losses = examples.losses(batch)
                    values = {name: loss.item() for name, loss in losses.items()}
                    _check_finite(values, train, batch)
                except KeyboardInterrupt:
                    restore_cursor(sampler, network, before)
                    raise
                optimizer.zero_grad()
                fabric.backward(losses["total"])
                if settings.clip_gradients is not None:
                    nn.utils.clip_grad_norm_(network.parameters(), settings.clip_gradients)
                optimizer.step()
                state.step += 1
                for name, value in values.items():
                    state.sums[name] = state.sums.get(name, 0.0) + value
                done = (state.step - 1) % per_epoch + 1
                shown = " ".join(f"{name} {value / done:.2f}" for name, value in state.sums.items())
                progress.update(bar, advance=1, losses=shown)
                if done == per_epoch:
                    row = _row(state, optimizer.param_groups[-1]["lr"], per_epoch, time.monotonic() - begun)
                    found = mean_losses(checks, settings.batch_size, settings.seed)
                    row |= {f"val_{name}": value for name, value in found.items()}
                    state.rows.append(row)
                    state.sums = {}
                    write_history(run / "history.csv", state.rows)
                    judged = -float(state.step) if settings.best == "last" else row[settings.best]
                    improved = judged < state.best
                    state.best = min(judged, state.best)
                    write_checkpoint(last, snapshot())
                    if improved:
                        write_checkpoint(best, snapshot())
                        write_network(run / "weights.safetensors", network.state_dict(), config, train.classes)
        except KeyboardInterrupt as error:
            write_checkpoint(last, snapshot())
            raise InterruptedRun(
                f"stopped by hand after step {state.step}, and all is saved; "
                f"go on with: clothseg fit DATA --out {run} --resume"
            ) from error
    return state.rows


def snapshot_cursor(sampler: Sampler, network: MaskRCNNNetwork) -> tuple[object, torch.Tensor]:
    """Where the random numbers of a step begin, so that a step cut short can be done again."""
    return sampler.state_dict(), network.generator.get_state()


def restore_cursor(sampler: Sampler, network: MaskRCNNNetwork, cursor: tuple[object, torch.Tensor]) -> None:
    """Put the random numbers back where `snapshot_cursor` saw them."""
    sampler.load_state_dict(cursor[0])  # type: ignore[arg-type]
    network.generator.set_state(cursor[1])


def rate_factor(step: int, settings: Train, steps: int) -> float:
    """Part of the learning rate at a step: up in a line during the warm-up, then constant or down in a cosine to 0."""
    if step < settings.warmup_steps:
        return (step + 1) / settings.warmup_steps
    if settings.schedule == "constant":
        return 1.0
    done = (step - settings.warmup_steps) / max(1, steps - settings.warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * done))


def _optimizer(network: MaskRCNNNetwork, settings: Train) -> torch.optim.Optimizer:
    trunk = [p for p in network.backbone.parameters() if p.requires_grad]
    known = {id(p) for p in network.backbone.parameters()}
    rest = [p for p in network.parameters() if id(p) not in known]
    groups = [{"params": trunk, "lr": settings.learning_rate * settings.backbone_rate}] if trunk else []
    groups.append({"params": rest, "lr": settings.learning_rate})
    for group in groups:
        group["initial_lr"] = group["lr"]
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(groups, weight_decay=settings.weight_decay)
    return torch.optim.SGD(groups, momentum=settings.momentum, weight_decay=settings.weight_decay)


def _check_finite(losses: dict[str, float], train: CocoLikeDataset, batch: list[tuple[int, int]]) -> None:
    broken = [name for name, value in losses.items() if not math.isfinite(value) and name != "total"]
    if broken:
        photos = ", ".join(str(train.images[position].path) for position, _ in batch)
        raise RunError(f"loss {', '.join(broken)} is not finite; the photos of this step are {photos}")


def _row(state: Checkpoint, rate: float, per_epoch: int, seconds: float) -> Row:
    row: Row = {
        "epoch": state.step // per_epoch,
        "step": state.step,
        "learning_rate": rate,
        "seconds": round(state.seconds + seconds, 2),
    }
    return row | {f"train_{name}": value / per_epoch for name, value in state.sums.items()}


def _progress(quiet: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[losses]}"),
        console=Console(stderr=True),
        disable=quiet,
    )
