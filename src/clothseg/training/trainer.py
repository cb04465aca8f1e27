"""A run while it trains: its steps, the ends of its epochs, and its state. `fit` drives it, `step.py` is one step."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar, cast

import numpy as np
import torch
from lightning_fabric import Fabric

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset, Sampler, repeat_factors
from clothseg.dataset.unlabelled import UnlabelledPhotos
from clothseg.devices import resolve_precision
from clothseg.distributed import DistributedContext, launch, local_world_size
from clothseg.errors import ClothsegError, RunError, SpoiledRun, is_out_of_memory
from clothseg.loading import WorkerPool
from clothseg.networks import Network
from clothseg.runs import RunFolder
from clothseg.training.checkpoint import Checkpoint, checksum, previous, read_last, write_checkpoint
from clothseg.training.checks import batch_per_rank, check_same_data
from clothseg.training.ema import EmaWeights
from clothseg.training.examples import Examples, wrap_for_losses
from clothseg.training.history import HistoryRow
from clothseg.training.lost_photos import LostPhotos
from clothseg.training.memory.oom import handle_oom, split_batches
from clothseg.training.nonfinite import handle_nonfinite
from clothseg.training.pseudo_masks import PseudoMasks
from clothseg.training.run_log import RunLog, epoch_line
from clothseg.training.schedule import (
    StageSpan,
    load_optimizer_state,
    make_optimizer,
    plan_stages,
    set_learning_rate,
    stage_at,
    transfer_optimizer_state,
)
from clothseg.training.self_training import SelfTraining
from clothseg.training.step import training_step
from clothseg.training.teacher import photos_to_learn
from clothseg.training.validation import Validator, epoch_messages, should_stop, unread_message
from clothseg.training.waiting import WaitingTime

T = TypeVar("T")


class Trainer:
    """Trains a network step by step and epoch by epoch.

    Attributes:
        state: where the training stands.
        stages: of the training, in steps.
        precision: of the steps.
        steps, steps_per_epoch, photos: steps in all, steps of an epoch, photos of a step.
        cached_photos: how many decoded photos fit in memory.
    """

    def __init__(
        self,
        network: Network,
        train: CocoLikeDataset,
        val: CocoLikeDataset,
        config: Config,
        run: RunFolder,
        log: RunLog,
        fabric: Fabric | None = None,
        unlabelled: UnlabelledPhotos | None = None,
    ) -> None:
        settings = config.train
        self.network, self.train, self.config, self.run, self.log = network, train, config, run, log
        self.fabric = fabric or launch(1, settings.precision)
        self.precision = resolve_precision(settings.precision, self.fabric.device)
        self.distributed = network.distributed = DistributedContext.of(self.fabric)
        network.to(self.fabric.device)  # before anything is made of its weights
        world_size = self.distributed.world_size
        batch_size = batch_per_rank(config, world_size) * world_size
        learned = photos_to_learn(train, unlabelled, config)
        repeats = repeat_factors(train, settings.repeat_threshold, settings.empty_share, config.box_labels.mask_share)
        self.sampler = Sampler(len(train), batch_size, config.augment.fixed_views, settings.seed, repeats)
        self.pool = WorkerPool.for_training(settings, self.fabric.device, local_world_size(world_size))
        self.examples = Examples(network, learned, config, augmented=True, pool=self.pool)
        self.lost = self.examples.lost = LostPhotos(learned, settings.seed)
        self.self_training = SelfTraining(learned, config, self.sampler, self.examples, repeats) if unlabelled else None
        self.pseudo_masks = PseudoMasks.of(learned, config, self.examples)
        val_examples = Examples(network, val, config, augmented=False, pool=self.pool)
        self.examples.autocast = val_examples.autocast = self.fabric.autocast  # Fabric casts only for several processes
        budget = settings.image_cache_mb * 1_000_000
        self.cached_photos = 0 if self.examples.fixed else learned.cache_images(budget, shared=self.pool.processes)
        self.waiting = WaitingTime(self.examples.queue)
        self.ema = EmaWeights(network, settings.ema_decay) if settings.ema_decay else None
        self.validator = Validator(network, val_examples, self.ema, config, train.classes, run, self.distributed)
        self.photos = batch_size * settings.grad_accumulation_steps
        self.steps_per_epoch = settings.steps_per_epoch or math.ceil(len(train) / self.photos)
        self.stages = plan_stages(config, self.steps_per_epoch, self.photos)
        self.steps = self.stages[-1].end
        self.stage: StageSpan | None = None
        self.optimizer: torch.optim.Optimizer
        self.start_stage(self.stages[0])
        self.state = Checkpoint(
            0, {}, {}, {}, network.generator.get_state(), [], {}, {}, checksum(learned, val), train.classes, 0.0
        )
        self.started = time.monotonic()

    @property
    def finished(self) -> bool:
        """Whether all steps are done, or early stopping ends the training."""
        return self.state.step >= self.steps or should_stop(self.state.rows, self.config.train)

    @property
    def epoch_due(self) -> bool:
        """Whether all steps of an epoch are done, and it is not validated yet."""
        validated = self.state.rows[-1]["step"] if self.state.rows else 0
        return self.state.step > validated and self.state.step % self.steps_per_epoch == 0

    def advance(self) -> None:
        """The next step, or the end of an epoch whose steps are done.

        Raises:
            ClothsegError: too many photos cannot be read, or a loss is not finite. The state from before is saved.
            SpoiledRun: there is no state worth saving.
        """
        before = self.sampler.state_dict(), self.network.generator.get_state(), self.lost.state_dict()
        try:
            if self.epoch_due:
                self.end_epoch()
                return
            with self.waiting.timed():
                self.step()
        except SpoiledRun:
            raise
        except ClothsegError:
            self.sampler.load_state_dict(before[0])
            self.network.generator.set_state(before[1])
            self.lost.load_state_dict(before[2])
            self.save()
            raise
        if not self.epoch_due and self.state.step % (self.config.train.checkpoint_every_steps or self.steps) == 0:
            self.save()

    def step(self) -> None:
        """One step: the stage, the learning rate, the batches, `training_step`, and its losses added to the epoch's."""
        settings, state = self.config.train, self.state
        stage = stage_at(self.stages, state.step)
        self.start_stage(stage)
        set_learning_rate(self.optimizer, state.step, stage, settings)
        torch.manual_seed(int(np.random.SeedSequence([settings.seed, state.step]).generate_state(1)[0]))  # of dropout
        batches = [self.sampler.next_batch() for _ in range(settings.grad_accumulation_steps)]
        ahead = self.pool.batches_ahead(len(batches[0]) // self.distributed.world_size)
        own = [list(self.distributed.shard(batch)) for batch in (*batches, *self.sampler.peek(ahead))]
        self.examples.prefetch([place for batch in own for place in batch])
        result = self._retry_oom(lambda: training_step(
            self.examples, split_batches(own[: len(batches)], state.micro_batches), self.optimizer, self.ema,
            settings, self.fabric, self.distributed, step=state.step + 1,
        ))  # fmt: skip
        self.lost.report(self.log)
        if result.faulty is not None:
            rate = self.optimizer.param_groups[0]["lr"]
            suspects = [place for batch in batches if set(result.faulty) & set(batch) for place in batch]
            handle_nonfinite(self.examples, suspects, result.losses, rate, state.step, self.config.train, self.run,
                             self.log, self.distributed)  # fmt: skip
            state.step += 1
            return
        state.step += 1
        for name, value in result.losses.items():
            state.sums[name] = state.sums.get(name, 0.0) + value
        state.sums["steps"] = state.sums.get("steps", 0.0) + 1

    def start_stage(self, stage: StageSpan) -> None:
        """Freezes and trains what a stage says; does nothing within a stage."""
        if stage == self.stage:
            return
        self.network.backbone.freeze(stage.frozen)
        if self.stage is None or self.distributed.world_size > 1:
            self.examples.learner = self.validator.examples.learner = self.network  # releases the old wrapper
            self.examples.learner = self.validator.examples.learner = wrap_for_losses(self.fabric, self.network)
        made = self.fabric.setup_optimizers(make_optimizer(self.network, self.config.train, stage.learning_rate))
        optimizer = cast(torch.optim.Optimizer, made)
        if self.stage is not None:
            transfer_optimizer_state(self.optimizer, optimizer)
        self.stage, self.optimizer = stage, optimizer
        for examples in (self.examples, self.validator.examples):
            examples.clear_cache()

    def _retry_oom(self, work: Callable[[], T]) -> T:
        """Does `work`; after out-of-memory again with smaller micro-batches, from here on.

        Raises:
            RunError: one photo alone does not fit.
        """
        draws = self.network.generator.get_state()
        while True:
            try:
                return work()
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            # not within `except`, where the error still holds the tensors of the step
            self.optimizer.zero_grad()
            self.network.graphed_features.stop()
            self.network.generator.set_state(draws)
            caches, size = [self.examples, self.validator.examples], self.config.train.batch_size
            pieces, message = handle_oom(self.state.micro_batches, size, caches, self.distributed.world_size)
            self.state.micro_batches = pieces
            self.log.info(message)

    def end_epoch(self) -> None:
        """Validates, writes history, checkpoints and weights, and logs the epoch.

        The state changes when all is written, so that a run that is killed in between does it again.

        Raises:
            RunError: every step of the epoch was skipped.
        """
        if not (state := self.state).sums:
            raise RunError(f"no step up to {state.step} gave finite losses; see {self.run.nonfinite}")
        self.lost.merge(self.distributed, self.log)
        row: HistoryRow = {
            "epoch": state.step // self.steps_per_epoch,
            "step": state.step,
            "learning_rate": self.optimizer.param_groups[-1]["lr"],
            "seconds": round(state.seconds + time.monotonic() - self.started, 2),
        }
        row |= {f"train_{name}": value for name, value in self._mean_losses().items()}

        def validate() -> Checkpoint:
            labels, masks = (
                teaching.after_epoch(int(row["epoch"]), self.ema, self.run, self.log) if teaching else {}
                for teaching in (self.self_training, self.pseudo_masks)
            )
            after = replace(self.state, rows=[*state.rows, row], sums={}, pseudo_labels=labels, pseudo_masks=masks)
            return self.validator.end_epoch(after, self.snapshot)

        self.state = self._retry_oom(validate)
        if self.finished and self.distributed.is_first:  # nothing follows that could damage the last one
            previous(self.run.last).unlink(missing_ok=True)
        line = epoch_line(self.state.rows[-1], self.config.train.epochs, self.network.loss_names)
        self.log.info(f"{line}, {self.waiting}")
        advice = self.waiting.advice(len(self.train) if self.examples.fixed else self.cached_photos, len(self.train))
        self.waiting.reset()
        unread = unread_message(self.validator.unread, len(self.validator.examples.dataset))
        said = epoch_messages(self.state.rows, self.config.train, self.network.graphed_features.reason_unavailable)
        for message in [*unread, *said, *advice]:
            self.log.info(message)

    def describe_losses(self) -> str:
        """Mean losses of this epoch so far, for people."""
        return " ".join(f"{name} {value:.2f}" for name, value in self._mean_losses().items())

    def _mean_losses(self) -> HistoryRow:
        steps = self.state.sums.get("steps", 0.0)
        return {name: value / steps for name, value in self.state.sums.items() if name != "steps"}

    def save(self) -> None:
        """Writes the last checkpoint, within an epoch."""
        if self.distributed.is_first:
            write_checkpoint(self.run.last, self.snapshot(self.state))

    def snapshot(self, state: Checkpoint) -> Checkpoint:
        """Everything that resuming needs."""
        return replace(
            state,
            network=self.network.state_dict(),
            optimizer=self.optimizer.state_dict(),
            sampler=self.sampler.state_dict(),
            generator=self.network.generator.get_state(),
            ema=self.ema.checkpoint(self.network) if self.ema else {},
            seconds=state.seconds + time.monotonic() - self.started,
            lost=self.lost.state_dict(),
        )

    def resume(self, *, force: bool) -> None:
        """Resumes from the last checkpoint that can be read, with other annotations only if `force`."""
        data = self.state.data
        self.state, trouble = read_last(self.run.last, self._restore)
        if trouble:
            self.log.info(trouble)
        if message := check_same_data(self.run, self.state, data, self.train.classes, force=force):
            self.log.info(message)
            self.state.data = data
        self.state = replace(self.state, network={}, optimizer={}, sampler={}, ema={})  # not twice in memory

    def _restore(self, checkpoint: Checkpoint) -> None:
        """Takes over the state of a checkpoint; raises where a part of it is missing or does not fit."""
        if checkpoint.classes == self.train.classes:  # with others `check_same_data` refuses it
            self.network.load_state_dict(checkpoint.network)
        self.start_stage(stage_at(self.stages, checkpoint.step - 1))  # of the step whose optimizer was saved
        load_optimizer_state(self.optimizer, checkpoint.optimizer)
        if self.self_training:
            self.self_training.restore(checkpoint.pseudo_labels)
        self.sampler.load_state_dict(checkpoint.sampler)
        self.network.generator.set_state(checkpoint.generator)
        if checkpoint.data == self.state.data:  # or they are positions in another dataset
            self.lost.load_state_dict(checkpoint.lost)
            if self.pseudo_masks:
                self.pseudo_masks.restore(checkpoint.pseudo_masks)
        if self.ema:
            self.ema.load(checkpoint.ema)
