"""Trains a network: the loop over steps, and what happens when it is stopped or fails."""

import os
from pathlib import Path

from lightning_fabric import Fabric

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.devices import describe_precision, float32_products
from clothseg.distributed import DistributedContext, launch, lost_another_process
from clothseg.errors import DataError, InterruptedRun, PhotoError, RunError, SpoiledRun, shell_command
from clothseg.networks import Network
from clothseg.runs import RunFolder
from clothseg.stop import StopRequest
from clothseg.training.checks import check_datasets
from clothseg.training.history import HistoryRow
from clothseg.training.run_log import RunLog, step_bar
from clothseg.training.run_summary import EtaEstimator, describe_plan, summarize_run
from clothseg.training.trainer import Trainer


def fit(
    network: Network,
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
) -> list[HistoryRow]:
    """Trains `network` and writes the run: history, checkpoint, weights of the best epoch, log.

    Args:
        network: built for the datasets' classes, on any device; it is moved to that of `fabric`.
        train, val: prepared datasets.
        config: what `network` was built from.
        run: folder of the run.
        resume: continue from the last checkpoint of `run`, exactly as if the run had never stopped.
        force: continue even if the dataset is not that of the checkpoint.
        quiet: show no progress bar.
        fabric: of the device, or of several processes that learn together, from `distributed.launch`; by default that
            of the GPU, or of the CPU if there is none.
        loaded: what the initial weights are, for people.

    Returns:
        the rows of `history.csv`.

    Raises:
        DataError: a dataset has no photos, or fewer than a batch.
        RunError: a loss is not finite; there is no checkpoint to resume from, or one of another dataset; the run
            cannot be written; another process of the training is gone.
        InterruptedRun: Ctrl-C or SIGTERM; the state is saved.
    """
    check_datasets(train, val, config)
    fabric = fabric or launch(1, config.train.precision)
    distributed = DistributedContext.of(fabric)
    log = RunLog(run.log if distributed.is_first else Path(os.devnull), quiet=quiet or not distributed.is_first)
    trainer = Trainer(network, train, val, config, run, log, fabric)
    if resume:
        trainer.resume(force=force)
        numbers = describe_precision(trainer.precision, fabric.device)
        log.info(f"resuming at step {trainer.state.step}: {describe_plan(trainer)}; {numbers}")
    else:
        lines, facts = summarize_run(trainer, train, val, loaded)
        for line in lines:
            log.info(line)
        if distributed.is_first:
            run.add_facts(facts)
    if distributed.is_first:
        run.add_facts({"precision": trainer.precision})
        if val.photo_split is not None:
            val.photo_split.write(run.split)
    eta = EtaEstimator(trainer, len(val))
    if trainer.finished:
        log.info("nothing is left to do; --more-epochs N trains it longer")
    again = shell_command(["clothseg", "fit", _folder(train), "--out", run.path, "--resume"])
    try:
        tf32 = float32_products(fabric.device, tf32=trainer.precision != "32-true")
        with StopRequest() as stop, step_bar(log.console) as progress, tf32:
            bar = progress.add_task("training", total=trainer.steps, completed=trainer.state.step, losses="")
            while trainer.epoch_due or not trainer.finished:
                trainer.advance()
                if message := eta.after(trainer.state.step):
                    log.info(message)
                progress.update(bar, completed=trainer.state.step, losses=trainer.describe_losses())
                if distributed.any(stop.asked) and (trainer.epoch_due or not trainer.finished):
                    trainer.save()
                    distributed.end_others()
                    log.info(f"stopped after step {trainer.state.step}", shown=False)
                    raise InterruptedRun(f"after step {trainer.state.step}, all is saved; continue with: {again}")
    except (DataError, PhotoError, RunError, RuntimeError, OSError) as error:
        raise _explained(error, run, distributed, again) from error
    finally:
        trainer.pool.close()
    return trainer.state.rows


def _explained(error: Exception, run: RunFolder, distributed: DistributedContext, again: str) -> BaseException:
    """The error with what is saved and how to continue; an unexpected one as it is."""
    if isinstance(error, SpoiledRun):
        return error
    if isinstance(error, DataError | PhotoError | RunError):
        mend = "repair the photo, then " if isinstance(error, PhotoError) else ""
        return type(error)(f"{error}. What was learned is saved; {mend}continue with: {again}")
    if isinstance(error, OSError):
        return RunError(
            f"{run.path}: the run cannot be written ({error}); what was saved before is still there. Make room, then "
            f"continue with: {again}"
        )
    if distributed.world_size == 1 or not lost_another_process(error):
        return error
    if not distributed.is_first:
        return SystemExit(1)
    return RunError(f"another process of the training is gone; continue from the last checkpoint with: {again}")


def _folder(dataset: CocoLikeDataset) -> str:
    return str(dataset.folder or "DATA")
