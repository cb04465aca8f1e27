"""Train a network: the loop over steps, and what happens when it is stopped or fails."""

import os
from pathlib import Path

from lightning_fabric import Fabric

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.errors import DataError, InterruptedRun, PhotoError, RunError, SpoiledRun
from clothseg.networks import MaskRCNNNetwork
from clothseg.runs import RunFolder
from clothseg.training.checks import check_photos
from clothseg.training.history import Row
from clothseg.training.run_log import RunLog, step_bar
from clothseg.training.run_summary import Pace, announce
from clothseg.training.stop import StopRequest
from clothseg.training.team import Team, lost_another, start_processes
from clothseg.training.trainer import Training


def fit(
    network: MaskRCNNNetwork,
    train: CocoLikeDataset,
    val: CocoLikeDataset,
    config: Config,
    run: RunFolder,
    *,
    resume: bool = False,
    force: bool = False,
    quiet: bool = False,
    fabric: Fabric | None = None,
    loaded: str = "as they are",
) -> list[Row]:
    """Train `network` and write the run: history, checkpoints `last` and `best`, weights, log.

    Args:
        network: built for the data sets' classes, on the CPU; it is moved to the best device there is.
        train, val: prepared data sets.
        config: what `network` was built from.
        run: folder of the run.
        resume: go on from the last checkpoint of `run`, exactly as if the run had never stopped.
        force: go on even if the data set is not the one that the checkpoint was made with.
        quiet: show no progress bar.
        fabric: of several processes that learn together, as `start_processes` began them.
        loaded: what the network's weights are, in words.

    Returns:
        the rows of `history.csv`.

    Raises:
        DataError: a data set without photos, or with fewer than a batch has.
        RunError: a loss that is not finite; no checkpoint to resume from, or one of another data set; the run
            cannot be written; another process of the training is gone.
        InterruptedRun: Ctrl-C or SIGTERM; the state is saved.
    """
    check_photos(train, val, config)
    fabric = fabric or start_processes(config, 1)
    team = Team(fabric)
    log = RunLog(run.log if team.first else Path(os.devnull), quiet=quiet or not team.first)
    training = Training(network, train, val, config, run, log, fabric)
    if resume:
        training.resume(force=force)
        log.say(f"going on at step {training.state.step}: {training.plan()}")
    else:
        lines, facts = announce(network, train, val, config, training.plan(), loaded, training.fabric.device)
        for line in lines:
            log.say(line)
        if team.first:
            run.add_facts(facts)
    pace = Pace(training.state.step, training.steps, training.per_epoch, training.photos, len(val))
    if training.finished:
        log.say("nothing is left to do; --extend N trains it longer")
    again = f"clothseg fit {_folder(train)} --out {run.path} --resume"
    try:
        with StopRequest() as stop, step_bar(log.console) as progress:
            bar = progress.add_task("training", total=training.steps, completed=training.state.step, losses="")
            while training.due or not training.finished:
                training.go_on()
                if words := pace.after(training.state.step):
                    log.say(words)
                progress.update(bar, completed=training.state.step, losses=training.losses_so_far())
                if team.any(stop.asked) and (training.due or not training.finished):
                    training.save()
                    team.leave()
                    log.say(f"stopped after step {training.state.step}", shown=False)
                    raise InterruptedRun(f"after step {training.state.step}, all is saved; go on with: {again}")
    except (DataError, PhotoError, RunError, RuntimeError, OSError) as error:
        raise _told(error, run, team, again) from error
    return training.state.rows


def _told(error: Exception, run: RunFolder, team: Team, again: str) -> BaseException:
    """An error with what is saved and how to go on; one that nobody expected as it is."""
    if isinstance(error, SpoiledRun):
        return error
    if isinstance(error, DataError | PhotoError | RunError):
        mend = "mend the photo, then " if isinstance(error, PhotoError) else ""
        return type(error)(f"{error}. What was learned is saved; {mend}go on with: {again}")
    if isinstance(error, OSError):
        return RunError(
            f"{run.path}: the run cannot be written ({error}); what was saved before is still there. Make room, then "
            f"go on with: {again}"
        )
    if team.share.processes == 1 or not lost_another(error):
        return error
    if not team.first:
        return SystemExit(1)
    return RunError(f"another process of the training is gone; go on from the last checkpoint with: {again}")


def _folder(dataset: CocoLikeDataset) -> str:
    return str(dataset.source.parent.parent) if dataset.source else "DATA"
