"""The end of an epoch: how good the network is on photos that it did not learn from, and what is kept of it."""

from collections.abc import Callable
from contextlib import nullcontext
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property

from clothseg.config import Config
from clothseg.evaluation import headline_figures
from clothseg.evaluation.results import detections
from clothseg.evaluation.truth import Truth, truth_of
from clothseg.evaluation.validate_results import checked_results
from clothseg.networks import MaskRCNNNetwork
from clothseg.runs import RunFolder
from clothseg.training.checkpoint import Checkpoint, write_checkpoint
from clothseg.training.ema import WeightAverage
from clothseg.training.examples import Examples, mean_losses
from clothseg.training.history import Row, write_history
from clothseg.training.team import Team, alone
from clothseg.training.tensorboard import write_events
from clothseg.training.verdicts import best_row
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
        team: the processes that judge together; the first one writes.
    """

    network: MaskRCNNNetwork
    checks: Examples
    average: WeightAverage | None
    config: Config
    classes: list[str]
    run: RunFolder
    team: Team

    def end_epoch(self, state: Checkpoint, snapshot: Callable[[Checkpoint], Checkpoint]) -> Checkpoint:
        """Judge, and write history, events, checkpoints and, where they are the best so far, the weights to hand out.

        Args:
            state: with the row of the epoch, which gets what is found.
            snapshot: fills in what a checkpoint needs beside it.

        Returns:
            the state after it.
        """
        with self.average.applied(self.network) if self.average else nullcontext():
            row = state.rows[-1] | self.look(int(state.rows[-1]["epoch"]), state.parts)
            after = replace(state, rows=[*state.rows[:-1], row])
            better = best_row(after.rows, self.config.train) is row
            if self.team.first:
                write_history(self.run.history, after.rows)
                write_events(self.run.events, after.rows)
            if better and self.team.first:
                write_network(self.run.weights, self.network.state_dict(), self.config, self.classes)
        if self.team.first:
            if better:
                write_checkpoint(self.run.best, snapshot(after))
            write_checkpoint(self.run.last, snapshot(after))
        self.team.wait()
        return after

    def look(self, epoch: int, parts: int) -> Row:
        """What the network is worth after an epoch, by the history's columns; batches go in so many parts."""
        settings = self.config.train
        together = -(-settings.batch_size * settings.devices // parts)
        losses = mean_losses(self.checks, together, settings.seed, self.team)
        row = {f"val_{name}": value for name, value in losses.items()}
        if settings.evaluate_every and (epoch % settings.evaluate_every == 0 or epoch == settings.epochs):
            row |= self.figures()
        return row

    def figures(self) -> Row:
        """COCO's and the report's figures on the validation photos, those that there is something to judge by."""
        training = self.network.training
        self.network.eval()
        part = copy(self.checks.dataset)
        part.images = self.team.every(part.images)
        with alone(self.network):
            found_here = list(detections(self.network, part))
        rows = [row for of_photo in self.team.gather(found_here) for row in of_photo]
        self.network.train(training)
        found = headline_figures(self.truth, checked_results(rows, self.truth)[0], self.config.detect.min_confidence)
        return {name: value for name, value in found.items() if value is not None}

    @cached_property
    def truth(self) -> Truth:
        """What is on the validation photos."""
        return truth_of(self.checks.dataset)
