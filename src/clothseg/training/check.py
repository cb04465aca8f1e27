"""What training needs of its data, looked at before anything is written."""

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.errors import DataError


def check_photos(train: CocoLikeDataset, val: CocoLikeDataset, config: Config) -> None:
    """Whether the data sets can be trained on and judged by.

    Raises:
        DataError: one has no photo or no instance, they have different classes, or there are fewer photos than a batch
            has.
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
    if config.train.batch_size > len(train):
        raise DataError(
            f"train.batch_size is {config.train.batch_size}, but there are only {len(train)} photos; make it smaller"
        )
