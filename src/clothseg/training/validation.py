"""The end of an epoch: validation, the best epoch, early stopping, overfitting.

What the rows of the history say is not remembered beside them, so a resumed run comes to the same conclusions.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property

from clothseg.config import Config, TrainSettings
from clothseg.distributed import DistributedContext, single_process
from clothseg.evaluation import headline_metrics
from clothseg.evaluation.results import detections
from clothseg.evaluation.truth import GroundTruth, truth_of
from clothseg.evaluation.validate_results import validate_results
from clothseg.networks import Network
from clothseg.optional import is_installed
from clothseg.runs import RunFolder
from clothseg.training.checkpoint import Checkpoint, write_checkpoint
from clothseg.training.ema import EmaWeights
from clothseg.training.examples import Examples, mean_losses
from clothseg.training.history import HistoryRow, loss_names_in, overfitting, read_history, write_history
from clothseg.weights import write_network


@dataclass
class Validator:
    """Validates a network after each epoch and saves the best weights.

    Attributes:
        network: with the weights of the last step.
        examples: losses of the validation photos.
        ema: of the weights; if there is one, its weights are validated and saved.
        config: of the run.
        classes: names of the classes 1..K.
        run: where to write.
        distributed: the ranks that validate together; the first one writes.
        unread: a message for each photo that the last validation could not read. Its losses are not in the means, and
            its objects count as missed.
    """

    network: Network
    examples: Examples
    ema: EmaWeights | None
    config: Config
    classes: list[str]
    run: RunFolder
    distributed: DistributedContext
    unread: list[str] = field(default_factory=list)

    def end_epoch(self, state: Checkpoint, snapshot: Callable[[Checkpoint], Checkpoint]) -> Checkpoint:
        """Validates, and writes history, TensorBoard events, checkpoint and, if they are the best so far, the weights.

        Args:
            state: with the row of the epoch, to which the validation metrics are added.
            snapshot: completes a state to a checkpoint.

        Returns:
            the state with the complete row.
        """
        with self.ema.applied(self.network) if self.ema else nullcontext():
            row = state.rows[-1] | self.validate(int(state.rows[-1]["epoch"]), state.micro_batches)
            after = replace(state, rows=[*state.rows[:-1], row])
            better = best_row(after.rows, self.config.train) is row
            if self.distributed.is_first:
                write_history(self.run.history, after.rows, self.network.loss_names)
                self._write_events(after.rows)
            if better and self.distributed.is_first:
                write_network(self.run.weights, self.network.state_dict(), self.config, self.classes)
        if self.distributed.is_first:
            write_checkpoint(self.run.last, snapshot(after))
        self.distributed.barrier()
        return after

    def _write_events(self, rows: Sequence[HistoryRow]) -> None:
        """Writes events for TensorBoard if it is installed; the log has said so if it is not."""
        if is_installed("tensorboard"):
            from clothseg.training.tensorboard import write_tensorboard  # noqa: PLC0415 - optional

            write_tensorboard(self.run.events, rows, self.network.loss_names)

    def validate(self, epoch: int, micro_batches: int) -> HistoryRow:
        """Validation metrics after an epoch, by the history's columns; batches are split into `micro_batches`."""
        settings = self.config.train
        together = -(-settings.batch_size * settings.devices // micro_batches)
        losses, self.unread = mean_losses(self.examples, together, settings.seed, self.distributed)
        row = {f"val_{name}": value for name, value in losses.items()}
        if settings.evaluate_every and (epoch % settings.evaluate_every == 0 or epoch == settings.epochs):
            row |= self.figures()
        return row

    def figures(self) -> HistoryRow:
        """COCO's and the report's metrics on the validation photos, as far as they are defined."""
        training = self.network.training
        self.network.eval()
        part = copy(self.examples.dataset)
        part.images = list(self.distributed.strided_shard(part.images))
        with single_process(self.network):
            found_here = list(detections(self.network, part, unread=[]))  # the losses report the same photos
        rows = [row for of_photo in self.distributed.gather(found_here) for row in of_photo]
        self.network.train(training)
        found = headline_metrics(
            self.truth, validate_results(rows, self.truth)[0], self.config.inference.score_threshold
        )
        return {name: value for name, value in found.items() if value is not None}

    @cached_property
    def truth(self) -> GroundTruth:
        """The ground truth of the validation photos."""
        return truth_of(self.examples.dataset)


def best_row(rows: Sequence[HistoryRow], settings: TrainSettings) -> HistoryRow:
    """The row of the epoch whose weights are saved: the best by `train.monitor`, the first one of equals.

    Epochs without that metric, or with one that is not finite, do not count; if no epoch has it, the last one.
    """
    name = settings.monitor
    usable = [row for row in rows if math.isfinite(row.get(name, math.nan))]
    if not usable:
        return rows[-1]
    if name.startswith("val_"):
        return min(usable, key=lambda row: row[name])
    return max(usable, key=lambda row: row[name])


def should_stop(rows: Sequence[HistoryRow], settings: TrainSettings) -> bool:
    """Whether early stopping ends the training: `train.patience` epochs of a stage without a better one.

    It is decided only in epochs that have the metric of `train.monitor`, and counted from the start of each stage.
    """
    if settings.patience is None or not rows or settings.monitor not in rows[-1]:
        return False
    epoch = rows[-1]["epoch"]
    begun = max((stage.end_epoch for stage in settings.stages if stage.end_epoch <= epoch), default=0)
    return epoch - max(begun, best_row(rows, settings)["epoch"]) >= settings.patience


def stopped_early_after(run: RunFolder, settings: TrainSettings) -> int | None:
    """The epoch after which a run stopped early; None if it did not."""
    rows = read_history(run.history) if run.history.is_file() else []
    return int(rows[-1]["epoch"]) if should_stop(rows, settings) else None


def unread_message(unread: Sequence[str], photos: int) -> list[str]:
    """A message about validation photos that cannot be read any more; none if there are none."""
    if not unread:
        return []
    return [
        f"{len(unread)} of {photos} validation photos cannot be read: the losses of this epoch are without them, and "
        f"their objects count as missed. The first: {unread[0]}"
    ]


def epoch_messages(rows: Sequence[HistoryRow], settings: TrainSettings, no_graphs: str = "") -> list[str]:
    """Messages after the last epoch of `rows`: losses that begin to overfit, early stopping.

    Args:
        rows: of the epochs so far.
        settings: of the training.
        no_graphs: why CUDA graphs were not captured, which the first epoch says.
    """
    before, row, best = overfitting(rows[:-1]), rows[-1], best_row(rows, settings)
    sentences = [f"train.cuda_graphs has no effect: {no_graphs}"] if no_graphs and len(rows) == 1 else []
    if lost := [name for name in loss_names_in(rows) if not math.isfinite(row.get(f"val_{name}", 0.0))]:
        sentences.append(
            f"not finite on the validation photos: {', '.join(lost)}; the weights of this epoch are useless there. A "
            "smaller train.learning_rate or train.grad_clip_norm may help"
        )
    if started := {name: since for name, since in overfitting(rows).items() if name not in before}:
        losses = ", ".join(f"{name} (since epoch {since})" for name, since in started.items())
        sentences.append(
            f"overfitting: {losses} rises on the validation photos while it falls on the training photos; more photos "
            "or augmentation, or fewer epochs"
        )
    evaluated = [past for past in rows if "mask_AP50" in past]
    ends = row["epoch"] == settings.epochs or should_stop(rows, settings)
    if ends and evaluated and not evaluated[-1]["mask_AP50"] and not evaluated[-1].get("box_AP50"):
        sentences.append(
            "nothing was found on the validation photos (AP at an IoU of .50 is 0). Train longer (--more-epochs N); if "
            "that does not help, `clothseg dataset check DATA` and `clothseg fit DATA --overfit-one-image` find out why"
        )
    if should_stop(rows, settings):
        sentences.append(
            f"early stopping: {settings.monitor} was best in epoch {best['epoch']:.0f} ({best[settings.monitor]:.4f}), "
            f"and train.patience is {settings.patience}; the weights of epoch {best['epoch']:.0f} are saved"
        )
    elif row["epoch"] == settings.epochs and best is not row:
        sentences.append(f"{settings.monitor} was best in epoch {best['epoch']:.0f}; its weights are saved")
    return sentences
