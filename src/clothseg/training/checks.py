"""What training needs of its data, looked at before anything is written."""

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.errors import DataError, RunError
from clothseg.runs import RunFolder
from clothseg.training.checkpoint import Checkpoint

MAY_CHANGE = ("train.epochs", "train.stages", "train.patience", "train.on_nan", "train.save_every")
"""Settings that a run may go on with when they are others than before: they change nothing of what was done."""


def check_photos(train: CocoLikeDataset, val: CocoLikeDataset, config: Config) -> None:
    """Whether the data sets can be trained on and judged by.

    Raises:
        DataError: one has no photo or no instance, they have different classes, there are fewer photos than a batch
            has, or photos are not where they should be.
    """
    if not len(train) or not len(val):
        raise DataError("training needs at least one photo in train and one in val")
    if train.classes != val.classes:
        raise DataError(
            f"train has the classes {train.classes}, but val has {val.classes}; both files need the same categories"
        )
    for name, dataset in (("train", train), ("val", val)):
        if not any(not a.get("iscrowd") for entry in dataset.images for a in entry.annotations):
            raise DataError(
                f"{dataset.source or name}: not one instance is left on its {len(dataset)} photos (crowds do not "
                "count); was everything filtered away? `clothseg dataset check` tells what is there"
            )
        if gone := [entry.path for entry in dataset.images if not entry.path.is_file()]:
            raise DataError(
                f"{dataset.source or name}: {len(gone)} of its {len(dataset)} photos are not there, the first is "
                f"{gone[0]}; put them back, or make a copy of the data set without them: clothseg dataset check DATA "
                "--quarantine COPY"
            )
    if config.train.batch_size > len(train):
        raise DataError(
            f"train.batch_size is {config.train.batch_size}, but there are only {len(train)} photos; make it smaller"
        )


def check_same_config(run: RunFolder, config: Config) -> None:
    """Whether `config` is what the run in a folder was made with, but for `MAY_CHANGE`.

    Raises:
        RunError: it is another one; the message lists every difference.
    """
    if not run.config.is_file():
        return
    before, now = Config.load(run.config).flat(), config.flat()
    different = [name for name in now if now[name] != before.get(name) and name not in MAY_CHANGE]
    if different:
        rows = "".join(f"\n  {name}: {before.get(name)} in the run, {now[name]} now" for name in different)
        raise RunError(
            f"{run.path}: the run has another configuration, so it cannot go on with this one:{rows}\nLeave --config "
            "away to go on with its own, or begin a new run with --start-from"
        )


def check_same_data(run: RunFolder, before: Checkpoint, data: str, classes: list[str], *, force: bool) -> str:
    """Whether a run goes on with the classes and the annotations that it began with.

    Args:
        run: the run's folder.
        before: where the run stands.
        data: checksum of the annotations now.
        classes: names of the classes now.
        force: let other annotations pass.

    Returns:
        a sentence on what was let pass, or nothing.

    Raises:
        RunError: they are others.
    """
    if before.classes != classes:
        raise RunError(
            f"{run.path}: the run learned the classes {before.classes}, but the data set has {classes}; begin a new "
            f"run with --start-from {run.path}"
        )
    if before.data == data:
        return ""
    words = "the annotations are not those that this run began with"
    if not force:
        raise RunError(f"{run.path}: {words}; give the same ones, or say --force to go on")
    return f"{words}; going on by force"
