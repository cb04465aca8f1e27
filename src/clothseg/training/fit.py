"""Trains a network: a run from its folder to its best weights, the loop over steps, and what happens if it stops."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.dataset.unlabelled import UnlabelledPhotos, read_unlabelled
from clothseg.devices import describe_precision, float32_products
from clothseg.distributed import DistributedContext, launch, lost_another_process
from clothseg.errors import DataError, InterruptedRun, PhotoError, RunError, SpoiledRun, shell_command
from clothseg.journal import folder_lock
from clothseg.networks import Network
from clothseg.runs import RunFolder
from clothseg.stop import StopRequest
from clothseg.training.checks import check_datasets, open_run
from clothseg.training.edge_choice import decide_edges
from clothseg.training.history import HistoryRow
from clothseg.training.run_log import RunLog, step_bar
from clothseg.training.run_summary import EtaEstimator, add_run_facts, describe_plan, summarize_run, write_curves
from clothseg.training.self_training import check_self_training
from clothseg.training.trainer import Trainer
from clothseg.weights import read_network


def train_run(
    network: Network,
    train: CocoLikeDataset,
    val: CocoLikeDataset,
    config: Config,
    run: RunFolder,
    fabric: Fabric,
    *,
    loaded: str,
    overwrite: bool = False,
    resume: bool = False,
    force: bool = False,
    quiet: bool = False,
    unlabelled: UnlabelledPhotos | None = None,
    again: str = "",
) -> Config:
    """`fit`, and what is done before and after it: the run's folder, its curves and facts, and the best weights.

    Every process of a training calls it; afterwards the network of the first has the best weights.

    Returns:
        the configuration with what was decided for `inference.refine_edges=auto`.

    Args:
        network, train, val, config, run, resume, force, quiet, fabric, unlabelled, again: see `fit`.
        loaded: what the initial weights are, for people.
        overwrite: whether another run in the folder may be replaced.

    Raises:
        ClothsegError: something is in the way at `run`, another training is writing there, or see `fit`.
    """
    if fabric.global_rank:
        fit(network, train, val, config, run, resume=resume, force=force, fabric=fabric, unlabelled=unlabelled)
        return config
    if unlabelled is not None and not resume:
        check_self_training(config, train.classes)
    with folder_lock(run.path):
        open_run(run, config, resume=resume, overwrite=overwrite)
        try:
            fit(
                network, train, val, config, run,
                resume=resume, force=force, quiet=quiet, loaded=loaded, fabric=fabric, unlabelled=unlabelled,
                again=again,
            )  # fmt: skip
        finally:
            with suppress(OSError):  # a full disk was reported already
                write_curves(run)
        network.load_state_dict(read_network(run.weights).tensors)
        add_run_facts(run, network, train, val, None if resume else loaded)
        return decide_edges(network, val, config, run, RunLog(run.log, quiet=quiet))


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
    unlabelled: UnlabelledPhotos | None = None,
    again: str = "",
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
        unlabelled: photos without labels to learn from too, see `self_training.py`; a run resumes with its own.
        again: what continues a training that stopped, for messages; by default the command.

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
    unlabelled = read_unlabelled(run.unlabelled) if resume else unlabelled
    trainer = Trainer(network, train, val, config, run, log, fabric, unlabelled)
    _begin(trainer, loaded, unlabelled, resume=resume, force=force)
    eta = EtaEstimator(trainer, len(val))
    if trainer.finished:
        log.info("nothing is left to do; --more-epochs N trains it longer")
    again = again or shell_command(["clothseg", "fit", _folder(train), "--out", run.path, "--resume"])
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
        network.graphed_features.forget()
        if trainer.lost.reasons and distributed.is_first:
            with suppress(OSError):  # a full disk was reported already
                run.add_facts({"lost": list(trainer.lost.reasons.values())})
    return trainer.state.rows


def _begin(trainer: Trainer, loaded: str, unlabelled: UnlabelledPhotos | None, *, resume: bool, force: bool) -> None:
    """Resumes, or says what is about to happen; writes what the run needs to resume."""
    run, val = trainer.run, trainer.validator.examples.dataset
    facts: dict[str, Any] = {}
    if resume:
        trainer.resume(force=force)
        numbers = describe_precision(trainer.precision, trainer.fabric.device)
        trainer.log.info(f"resuming at step {trainer.state.step}: {describe_plan(trainer)}; {numbers}")
    else:
        lines, facts = summarize_run(trainer, trainer.train, val, loaded)
        facts |= {"left_out": {"train": trainer.train.left_out, "val": val.left_out}}
        for line in lines:
            trainer.log.info(line)
    if trainer.distributed.is_first:
        run.add_facts(facts | {"precision": trainer.precision})
        for kept, path in ((val.photo_split, run.split), (unlabelled, run.unlabelled)):
            if kept is not None:
                kept.write(path)


def _explained(error: Exception, run: RunFolder, distributed: DistributedContext, again: str) -> BaseException:
    """The error with what is saved and how to continue; an unexpected one as it is."""
    if isinstance(error, SpoiledRun):
        return error
    if isinstance(error, DataError | PhotoError | RunError):
        mend = "bring the photos back, then " if isinstance(error, PhotoError) else ""
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
