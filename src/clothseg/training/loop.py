"""The training loop, to be read from top to bottom."""

import math
import time
from dataclasses import replace

import torch
from lightning_fabric import Fabric
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn

from clothseg.config import Config, Train
from clothseg.dataset import CocoLikeDataset, Sampler
from clothseg.errors import DataError, InterruptedRun, RunError
from clothseg.networks import MaskRCNNNetwork
from clothseg.runs import RunFolder
from clothseg.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from clothseg.training.examples import Examples, mean_losses
from clothseg.training.history import Row, write_history
from clothseg.training.log import RunLog, epoch_line
from clothseg.weights import write_network


def fit(
    network: MaskRCNNNetwork,
    train: CocoLikeDataset,
    val: CocoLikeDataset,
    config: Config,
    run: RunFolder,
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
    training = _Training(network, train, val, config, run)
    if resume:
        training.resume()
    state = training.state
    log = RunLog(run.log, quiet=quiet)
    log.say(f"{'going on' if resume else 'starting'} at step {state.step} of {training.steps}: {training.plan()}")
    with _progress(log.console) as progress:
        bar = progress.add_task("training", total=training.steps, completed=state.step, losses="")
        try:
            while state.step < training.steps:
                training.step()
                progress.update(bar, advance=1, losses=training.losses_so_far())
                if state.step % training.per_epoch == 0:
                    training.end_epoch()
                    log.say(epoch_line(state.rows[-1], config.train.epochs))
        except KeyboardInterrupt as error:
            write_checkpoint(run.last, training.snapshot())
            log.say(f"stopped by hand after step {state.step}")
            raise InterruptedRun(
                f"stopped by hand after step {state.step}, and all is saved; "
                f"go on with: clothseg fit {_folder(train)} --out {run.path} --resume"
            ) from error
    return state.rows


class _Training:
    """What a run is made of, and the two things that happen in it: a step, and the end of an epoch."""

    def __init__(
        self, network: MaskRCNNNetwork, train: CocoLikeDataset, val: CocoLikeDataset, config: Config, run: RunFolder
    ) -> None:
        settings = config.train
        self.network, self.train, self.config, self.run = network, train, config, run
        self.fabric = Fabric(accelerator="auto", devices=1)
        model, self.optimizer = self.fabric.setup(network, _optimizer(network, settings))
        model.mark_forward_method("losses")
        model.mark_forward_method("losses_prepared")
        model.train()
        self.sampler = Sampler(len(train), settings.batch_size, config.augment.copies, settings.seed)
        self.examples = Examples(model, train, config, augmented=True)
        self.checks = Examples(model, val, config, augmented=False)
        self.per_epoch = settings.steps_per_epoch or math.ceil(len(train) / settings.batch_size)
        self.steps = settings.epochs * self.per_epoch
        self.state = Checkpoint(0, {}, {}, {}, network.generator.get_state(), [], {}, math.inf, 0.0)
        self.begun = time.monotonic()

    def step(self) -> None:
        """Learn from one batch. Cut short before the weights are changed, it can be done again."""
        settings, state = self.config.train, self.state
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * rate_factor(state.step, settings, self.steps)
        before = self.sampler.state_dict(), self.network.generator.get_state()
        try:
            batch = self.sampler.next_batch()
            losses = self.examples.losses(batch)
            values = {name: loss.item() for name, loss in losses.items()}
            _check_finite(values, self.train, batch)
            self.optimizer.zero_grad()
            self.fabric.backward(losses["total"])
        except KeyboardInterrupt:
            self.sampler.load_state_dict(before[0])
            self.network.generator.set_state(before[1])
            raise
        if settings.clip_gradients is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), settings.clip_gradients)
        self.optimizer.step()
        state.step += 1
        for name, value in values.items():
            state.sums[name] = state.sums.get(name, 0.0) + value

    def plan(self) -> str:
        """What is going to happen, for people."""
        trained = sum(p.numel() for p in self.network.parameters() if p.requires_grad)
        return (
            f"{self.config.train.epochs} epochs of {self.per_epoch} steps of {self.config.train.batch_size} photos, "
            f"{trained:,} trained numbers, on {self.fabric.device}"
        )

    def losses_so_far(self) -> str:
        """Means of this epoch's losses, for people."""
        done = (self.state.step - 1) % self.per_epoch + 1
        return " ".join(f"{name} {value / done:.2f}" for name, value in self.state.sums.items())

    def end_epoch(self) -> None:
        """Judge the network on the validation photos and write down everything."""
        settings, state = self.config.train, self.state
        row: Row = {
            "epoch": state.step // self.per_epoch,
            "step": state.step,
            "learning_rate": self.optimizer.param_groups[-1]["lr"],
            "seconds": round(state.seconds + time.monotonic() - self.begun, 2),
        }
        row |= {f"train_{name}": value / self.per_epoch for name, value in state.sums.items()}
        found = mean_losses(self.checks, settings.batch_size, settings.seed)
        row |= {f"val_{name}": value for name, value in found.items()}
        state.rows.append(row)
        state.sums = {}
        write_history(self.run.history, state.rows)
        judged = -float(state.step) if settings.best == "last" else row[settings.best]
        improved = judged < state.best
        state.best = min(judged, state.best)
        write_checkpoint(self.run.last, self.snapshot())
        if improved:
            write_checkpoint(self.run.best, self.snapshot())
            write_network(self.run.weights, self.network.state_dict(), self.config, self.train.classes)

    def snapshot(self) -> Checkpoint:
        """All that is needed to go on from here."""
        return replace(
            self.state,
            network=self.network.state_dict(),
            optimizer=self.optimizer.state_dict(),
            sampler=self.sampler.state_dict(),
            generator=self.network.generator.get_state(),
            seconds=self.state.seconds + time.monotonic() - self.begun,
        )

    def resume(self) -> None:
        """Go on from `checkpoints/last.pt`."""
        self.state = read_checkpoint(self.run.last)
        self.network.load_state_dict(self.state.network)
        self.optimizer.load_state_dict(self.state.optimizer)
        self.sampler.load_state_dict(self.state.sampler)
        self.network.generator.set_state(self.state.generator)


def rate_factor(step: int, settings: Train, steps: int) -> float:
    """Part of the learning rate at a step: up in a line during the warm-up, then constant or down in a cosine to 0."""
    if step < settings.warmup_steps:
        return (step + 1) / settings.warmup_steps
    if settings.schedule == "constant":
        return 1.0
    done = (step - settings.warmup_steps) / max(1, steps - settings.warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * done))


def _folder(dataset: CocoLikeDataset) -> str:
    return str(dataset.source.parent.parent) if dataset.source else "DATA"


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


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[losses]}"),
        console=console,
        disable=console.quiet or not console.is_terminal,
    )
