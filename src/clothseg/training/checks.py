"""Checks before anything is written: datasets, configuration and the folder of the run."""

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.errors import ConfigError, DataError, RunError
from clothseg.files import atomic_write, require_absent
from clothseg.photos import photo_exists
from clothseg.runs import RunFolder, refuse_data_set
from clothseg.training.checkpoint import Checkpoint
from clothseg.training.lost_photos import most_lost

MAY_CHANGE = (
    *("train.epochs", "train.stages", "train.patience", "train.on_nonfinite", "train.checkpoint_every_steps"),
    *("train.workers", "train.worker_type", "train.image_cache_mb", "inference.refine_edges"),
)
"""Settings that may differ when a run resumes, because they change nothing of what was done."""


def check_datasets(train: CocoLikeDataset, val: CocoLikeDataset, config: Config) -> None:
    """Checks that the datasets can be used for training and validation.

    Raises:
        DataError: one has no photo or no instance, their classes differ, there are fewer photos than in a batch, or
            many photos are missing.
    """
    if not len(train) or not len(val):
        raise DataError("training needs at least one photo in train and one in val")
    if (
        train.source is not None
        and train.source == val.source
        and {e.id for e in train.images} & {e.id for e in val.images}
    ):
        raise DataError(
            f"{train.source}: the same photos are in train and in val; split them, for example with --val-fraction 0.2"
        )
    if train.classes != val.classes:
        raise DataError(
            f"train has the classes {train.classes}, but val has {val.classes}; both files need the same categories"
        )
    for name, dataset in (("train", train), ("val", val)):
        if not any(not a.get("iscrowd") for entry in dataset.images for a in entry.annotations):
            raise DataError(
                f"{dataset.source or name}: no instance on its {len(dataset)} photos (crowds do not count); was "
                "everything filtered out? `clothseg dataset check` lists what is there"
            )
        gone = [entry.path for entry in dataset.images if not photo_exists(entry.path)]
        if len(gone) > most_lost(len(dataset)):  # fewer are left out
            raise DataError(
                f"{dataset.source or name}: {len(gone)} of its {len(dataset)} photos are missing, the first is "
                f"{gone[0]!s:.300}; restore them, or make a copy of the dataset without them: clothseg dataset check "
                "DATA --write-clean COPY"
            )
    if config.train.batch_size > len(train):
        raise DataError(
            f"train.batch_size is {config.train.batch_size}, but there are only {len(train)} photos; make it smaller"
        )


def check_same_config(run: RunFolder, config: Config) -> None:
    """Checks that `config` is that of the run in the folder, except for `MAY_CHANGE`.

    Raises:
        RunError: it is different; the message lists every difference.
    """
    if not run.config.is_file():
        return
    before, now = Config.load_saved(run.config).flat(), config.flat()
    different = [name for name in now if now[name] != before.get(name) and name not in MAY_CHANGE]
    if different:
        rows = "".join(f"\n  {name}: {before.get(name)} in the run, {now[name]} now" for name in different)
        raise RunError(
            f"{run.path}: the run has another configuration, so it cannot resume with this one:{rows}\nLeave --config "
            "out to continue with its own, or start a new run with --weights"
        )


def check_same_data(run: RunFolder, before: Checkpoint, data: str, classes: list[str], *, force: bool) -> str:
    """Checks that a run resumes with the classes and the annotations that it began with.

    Args:
        run: the run's folder.
        before: the run's last state.
        data: checksum of today's annotations.
        classes: names of today's classes.
        force: accept other annotations.

    Returns:
        what was accepted; empty if nothing had to be.

    Raises:
        RunError: they differ.
    """
    if before.classes != classes:
        raise RunError(
            f"{run.path}: the run learned the classes {before.classes}, but the dataset has {classes}; start a new "
            f"run with --weights {run.path}"
        )
    if before.data == data:
        return ""
    difference = "the annotations are not those that this run began with"
    if not force:
        raise RunError(f"{run.path}: {difference}; use the same ones, or continue with --force")
    return f"{difference}; continuing because of --force"


def batch_per_rank(config: Config, world_size: int) -> int:
    """Photos that each rank has at once, so that all ranks together have as many as the run began with.

    Raises:
        ConfigError: the photos cannot be shared evenly.
    """
    photos = config.train.batch_size * config.train.devices
    if photos % world_size:
        raise ConfigError(
            f"a step of this run learns from {photos} photos at once, which {world_size} devices cannot share evenly; "
            "choose another --devices"
        )
    return photos // world_size


def open_run(run: RunFolder, config: Config, *, resume: bool, overwrite: bool) -> None:
    """Prepares the folder of a run and writes its configuration.

    Args:
        run: the folder.
        config: of the run.
        resume: whether the run in the folder continues.
        overwrite: whether another run in the folder may be replaced.

    Raises:
        ClothsegError: something is in the way, or the run has another configuration, or the folder is a dataset.
        RunError: the folder cannot be written.
    """
    if resume:
        check_same_config(run, config)
    else:
        require_absent(run.path, overwrite=overwrite, resumable=run.last.is_file())
        refuse_data_set(run)
    try:
        if not resume:
            run.clear()
        atomic_write(run.config, config.to_yaml())
    except OSError as error:
        raise RunError(f"{run.path}: the run cannot be written ({error}); choose another place") from error
