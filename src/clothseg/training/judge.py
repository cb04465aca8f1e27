"""The end of an epoch: how good the network is on photos that it did not learn from, and what is kept of it."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace

from clothseg.config import Config
from clothseg.networks import MaskRCNNNetwork
from clothseg.runs import RunFolder
from clothseg.training.average import WeightAverage
from clothseg.training.checkpoint import Checkpoint, write_checkpoint
from clothseg.training.examples import Examples, mean_losses
from clothseg.training.history import Row, write_history
from clothseg.weights import write_network


@dataclass
class Judge:
    """Judges a network after each epoch and keeps the best.

    Attributes:
        network: with the weights of the last step.
        checks: losses of the validation photos.
        average: of the weights; where there is one, it is what is judged and handed out.
        config: how to judge.
        classes: names of the classes 1..K.
        run: where to write.
    """

    network: MaskRCNNNetwork
    checks: Examples
    average: WeightAverage | None
    config: Config
    classes: list[str]
    run: RunFolder

    def end_epoch(self, state: Checkpoint, snapshot: Callable[[Checkpoint], Checkpoint]) -> Checkpoint:
        """Judge, and write history, checkpoints and, where they are the best so far, the weights to hand out.

        Args:
            state: with the row of the epoch, which gets what is found.
            snapshot: fills in what a checkpoint needs beside it.

        Returns:
            the state after it.
        """
        with self.average.applied(self.network) if self.average else nullcontext():
            row = state.rows[-1] | self.look()
            judged = -float(state.step) if self.config.train.best == "last" else row[self.config.train.best]
            better = judged < state.best
            after = replace(state, rows=[*state.rows[:-1], row], best=min(judged, state.best))
            write_history(self.run.history, after.rows)
            if better:
                write_network(self.run.weights, self.network.state_dict(), self.config, self.classes)
        if better:
            write_checkpoint(self.run.best, snapshot(after))
        write_checkpoint(self.run.last, snapshot(after))
        return after

    def look(self) -> Row:
        """What the network is worth now, by the names of the history's columns."""
        settings = self.config.train
        losses = mean_losses(self.checks, settings.batch_size, settings.seed)
        return {f"val_{name}": value for name, value in losses.items()}
