"""A run while it learns: its steps, the ends of its epochs, and what resuming needs. `fit` leads it."""

import math
import time
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from lightning_fabric import Fabric

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset, Sampler, repeat_factors
from clothseg.errors import ClothsegError, RunError, SpoiledRun
from clothseg.networks import MaskRCNNNetwork
from clothseg.runs import RunFolder
from clothseg.training.checkpoint import Checkpoint, checksum, read_last, write_checkpoint
from clothseg.training.checks import check_same_data
from clothseg.training.ema import WeightAverage
from clothseg.training.examples import Batch, Examples
from clothseg.training.gradients import clip_gradient, gradients
from clothseg.training.history import Row
from clothseg.training.memory.oom import is_shortage, make_room, split_batches
from clothseg.training.nonfinite import GRADIENT, has_diverged, save_fault
from clothseg.training.optimizer import carry_on, make_optimizer, rate_factor, scaled_words
from clothseg.training.run_log import RunLog, epoch_line
from clothseg.training.schedule import Span, plan_spans, span_of
from clothseg.training.team import Team, batch_of_each, start_processes
from clothseg.training.validation import Judge
from clothseg.training.verdicts import gives_up, news


class Training:
    """What a run is made of, and the two things that happen in it: a step, and the end of an epoch."""

    def __init__(
        self,
        network: MaskRCNNNetwork,
        train: CocoLikeDataset,
        val: CocoLikeDataset,
        config: Config,
        run: RunFolder,
        log: RunLog,
        fabric: Fabric | None = None,
    ) -> None:
        settings = config.train
        self.network, self.train, self.config, self.run, self.log = network, train, config, run, log
        self.fabric = fabric or start_processes(config, 1)
        self.team = Team(self.fabric)
        network.share = self.team.share
        self.average = WeightAverage(network, settings.average) if settings.average else None
        repeats = repeat_factors(train, settings.repeat_threshold)
        together = batch_of_each(config, self.team.share.processes) * self.team.share.processes
        self.sampler = Sampler(len(train), together, config.augment.copies, settings.seed, repeats)
        self.examples = Examples(network, train, config, augmented=True)
        checks = Examples(network, val, config, augmented=False)
        self.kept = 0 if self.examples.fixed else train.keep_photos(settings.keep_photos_mb * 1_000_000)
        self.judge = Judge(network, checks, self.average, config, train.classes, run, self.team)
        self.photos = together * settings.accumulate
        self.per_epoch = settings.steps_per_epoch or math.ceil(len(train) / self.photos)
        self.spans = plan_spans(config, self.per_epoch, self.photos)
        self.steps = self.spans[-1].end
        self.span: Span | None = None
        self.optimizer: torch.optim.Optimizer
        self.enter(self.spans[0])
        self.state = Checkpoint(
            0, {}, {}, {}, network.generator.get_state(), [], {}, {}, checksum(train, val), train.classes, 0.0
        )
        self.begun = time.monotonic()

    @property
    def finished(self) -> bool:
        """Whether all steps are done, or the epochs do not get better any more."""
        state = self.state
        return state.step >= self.steps or gives_up(state.rows, self.config.train)

    @property
    def due(self) -> bool:
        """Whether all steps of an epoch are done, and it is not judged yet."""
        judged = self.state.rows[-1]["step"] if self.state.rows else 0
        return self.state.step > judged and self.state.step % self.per_epoch == 0

    def go_on(self) -> None:
        """The next step, or the end of an epoch whose steps are done.

        Raises:
            ClothsegError: a photo cannot be read, or a loss is not finite. The state from before is saved.
            SpoiledRun: there is no state that is worth saving.
        """
        before = self.sampler.state_dict(), self.network.generator.get_state()
        try:
            if self.due:
                self.end_epoch()
                return
            self.step()
        except SpoiledRun:
            raise
        except ClothsegError:
            self.sampler.load_state_dict(before[0])
            self.network.generator.set_state(before[1])
            self.save()
            raise
        if not self.due and self.state.step % (self.config.train.save_every or self.steps) == 0:
            self.save()

    def step(self) -> None:
        """Learn from one batch, or from several of them one after the other."""
        settings, state = self.config.train, self.state
        span = span_of(self.spans, state.step)
        self.enter(span)
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * rate_factor(state.step - span.first, settings, span.end - span.first)
        torch.manual_seed(int(np.random.SeedSequence([settings.seed, state.step]).generate_state(1)[0]))  # of dropout
        self.optimizer.zero_grad()
        batches = [self.sampler.next_batch() for _ in range(settings.accumulate)]
        self.examples.expect([place for b in (*batches, *self.sampler.coming(2)) for place in self.team.own(b)])
        values, broken = self.learn(batches)
        if broken is not None:
            self.skip_or_stop(broken, values)
            return
        length = clip_gradient(self.network, self.optimizer, self.fabric, settings.clip_gradients)
        if not math.isfinite(length) and settings.precision != "16-mixed":  # with 16 bits the optimizer looks itself
            self.skip_or_stop([place for batch in batches for place in batch], values | {GRADIENT: length})
            return
        self.change_weights()
        state.step += 1
        if self.average:
            self.average.update(self.network, state.step)
        for name, value in values.items():
            state.sums[name] = state.sums.get(name, 0.0) + value
        state.sums["steps"] = state.sums.get("steps", 0.0) + 1

    def learn(self, batches: list[Batch]) -> tuple[dict[str, float], Batch | None]:
        """What `gradients` does; again with fewer photos at a time, from here on, if memory runs out.

        Raises:
            RunError: one photo alone does not fit.
        """
        draws = self.network.generator.get_state()
        while True:
            try:
                pieces = split_batches([self.team.own(batch) for batch in batches], self.state.parts)
                values, broken = gradients(self.examples, pieces, self.fabric.backward, self.team)
                whole = next((b for b in batches if set(broken) <= set(b)), None) if broken else None
                return values, whole
            except (RuntimeError, MemoryError) as error:
                if not is_shortage(error):
                    raise
            # not within `except`, where the error still holds on to the tensors of the step
            self.optimizer.zero_grad()
            self.network.generator.set_state(draws)
            self.make_room()

    def change_weights(self) -> None:
        """Let the optimizer take its step.

        Raises:
            SpoiledRun: memory ran out when a part of the weights was changed already.
        """
        try:
            self.optimizer.step()
        except (RuntimeError, MemoryError) as error:
            if not is_shortage(error):
                raise
            raise SpoiledRun(
                f"step {self.state.step}: memory ran out while the weights were changed. The last checkpoint is as it "
                "was: close other programs and go on with --resume, or begin again with --memory"
            ) from error

    def enter(self, span: Span) -> None:
        """Freeze and train what a stage says; nothing happens within a stage."""
        if span == self.span:
            return
        self.network.backbone.freeze(span.frozen)
        if self.span is None or self.team.share.processes > 1:
            self.examples.learner = self.judge.checks.learner = self.network  # lets go what was wrapped before
            self.examples.learner = self.judge.checks.learner = self.team.wrapped(self.network)
        made = self.fabric.setup_optimizers(make_optimizer(self.network, self.config.train, span.rate))
        optimizer = cast(torch.optim.Optimizer, made)
        if self.span is not None:
            carry_on(self.optimizer, optimizer)
        self.span, self.optimizer = span, optimizer
        for examples in (self.examples, self.judge.checks):
            examples.forget()

    def skip_or_stop(self, batch: Batch, losses: dict[str, float]) -> None:
        """Keep what is known of a loss or gradient that is not finite. The weights were not touched.

        Raises:
            SpoiledRun: the network has diverged: going on would not help.
            RunError: unless `train.on_nan` is `skip`.
        """
        rate = self.optimizer.param_groups[0]["lr"]
        words = ""
        diverged = self.team.any(self.team.first and has_diverged(self.examples, batch))
        if self.team.first:
            suspects = [] if diverged else batch
            words = save_fault(self.run.faults, self.state.step, self.examples, suspects, losses, rate)
        self.log.say(words, shown=self.config.train.on_nan == "skip" and not diverged)
        if diverged:
            self.team.leave()
            raise SpoiledRun(
                f"{words}. --resume would only repeat it: begin again (--overwrite) with a smaller "
                "train.learning_rate, a longer train.warmup_steps or a smaller train.clip_gradients"
            )
        if self.config.train.on_nan == "stop":
            self.team.leave()
            raise RunError(
                f"{words}. A smaller train.learning_rate or train.clip_gradients may help; --on-nan skip leaves such "
                "steps out"
            )
        self.state.step += 1

    def plan(self) -> str:
        """What is going to happen, for people."""
        settings = self.config.train
        stages = "; ".join(
            f"{span.name} until epoch {span.end // self.per_epoch} at {span.rate:g}" for span in self.spans
        )
        shortest = min(span.end - span.first for span in self.spans)
        slow = (
            f"; the warm-up of {settings.warmup_steps} steps is not over when a stage of {shortest} ends"
            if settings.warmup_steps > shortest
            else ""
        )
        kept = f"; {self.kept} of {len(self.train)} photos are kept in memory as pixels" if self.kept else ""
        return (
            f"{settings.epochs} epochs of {self.per_epoch} steps of {self.photos} photos, on {self.team.where}; "
            f"trained: {stages}{scaled_words(settings, self.photos)}{slow}{kept}"
        )

    def losses_so_far(self) -> str:
        """Means of this epoch's losses, for people."""
        return " ".join(f"{name} {value:.2f}" for name, value in self._means().items())

    def end_epoch(self) -> None:
        """Have the network judged, and everything written down.

        The state changes when all is written, so that a run that is killed in between does it again.

        Raises:
            RunError: every step of the epoch was skipped.
        """
        state = self.state
        if not state.sums:
            raise RunError(f"not one step up to {state.step} gave finite losses; see {self.run.faults}")
        row: Row = {
            "epoch": state.step // self.per_epoch,
            "step": state.step,
            "learning_rate": self.optimizer.param_groups[-1]["lr"],
            "seconds": round(state.seconds + time.monotonic() - self.begun, 2),
        }
        row |= {f"train_{name}": value for name, value in self._means().items()}
        self.state = self.judged(replace(state, rows=[*state.rows, row], sums={}))
        self.log.say(epoch_line(self.state.rows[-1], self.config.train.epochs))
        for sentence in news(self.state.rows, self.config.train):
            self.log.say(sentence)

    def judged(self, state: Checkpoint) -> Checkpoint:
        """What `Judge.end_epoch` makes of a state; with fewer photos at a time, from here on, if memory runs out.

        Raises:
            RunError: one photo alone does not fit.
        """
        while True:
            try:
                return self.judge.end_epoch(state, self.snapshot)
            except (RuntimeError, MemoryError) as error:
                if not is_shortage(error):
                    raise
            state = replace(state, parts=self.make_room())

    def make_room(self) -> int:
        """Do something about memory that ran out, and say it; in how many parts batches are from here on."""
        kept, size = [self.examples, self.judge.checks], self.config.train.batch_size
        self.state.parts, words = make_room(self.state.parts, size, kept, self.fabric.world_size)
        self.log.say(words)
        return self.state.parts

    def save(self) -> None:
        """Write the last checkpoint, within an epoch."""
        if self.team.first:
            write_checkpoint(self.run.last, self.snapshot(self.state))

    def snapshot(self, state: Checkpoint) -> Checkpoint:
        """All that is needed to go on from here."""
        return replace(
            state,
            network=self.network.state_dict(),
            optimizer=self.optimizer.state_dict(),
            sampler=self.sampler.state_dict(),
            generator=self.network.generator.get_state(),
            average=self.average.weights if self.average else {},
            seconds=state.seconds + time.monotonic() - self.begun,
        )

    def resume(self, *, force: bool) -> None:
        """Go on from the last checkpoint that can be read."""
        data = self.state.data
        self.state, trouble = read_last(self.run.last)
        if trouble:
            self.log.say(trouble)
        if words := check_same_data(self.run, self.state, data, self.train.classes, force=force):
            self.log.say(words)
            self.state.data = data
        self.network.load_state_dict(self.state.network)
        self.enter(span_of(self.spans, self.state.step - 1))  # of the step whose optimizer was saved
        self.optimizer.load_state_dict(self.state.optimizer)
        self.sampler.load_state_dict(self.state.sampler)
        self.network.generator.set_state(self.state.generator)
        if self.average:
            self.average.weights = dict(self.state.average)
        self.state = replace(self.state, network={}, optimizer={}, sampler={}, average={})  # not twice in memory

    def _means(self) -> Row:
        steps = self.state.sums.get("steps", 0.0)
        return {name: value / steps for name, value in self.state.sums.items() if name != "steps"}
