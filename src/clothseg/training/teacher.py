"""The teacher: the EMA of the weights looks at photos, unchanged, and finds what the student then learns."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset, read_ahead
from clothseg.dataset.unlabelled import UnlabelledPhotos, with_unlabelled
from clothseg.distributed import single_process
from clothseg.errors import DataError, PhotoError
from clothseg.files import atomic_write
from clothseg.instances import CocoAnnotation, Instances
from clothseg.networks import to_tensor
from clothseg.photos import RgbImage
from clothseg.training.ema import EmaWeights
from clothseg.training.examples import Examples

T = TypeVar("T")


def photos_to_learn(train: CocoLikeDataset, unlabelled: UnlabelledPhotos | None, config: Config) -> CocoLikeDataset:
    """The labelled photos, and after them those without labels; a copy if a teacher may change labels."""
    if unlabelled is None and not config.box_labels.pseudo_masks:
        return train
    return with_unlabelled(train, unlabelled.photos if unlabelled else ())


def ask_teacher(
    teacher: EmaWeights,
    examples: Examples,
    dataset: CocoLikeDataset,
    positions: Sequence[int],
    use: Callable[[int, RgbImage, Instances], T],
) -> list[T | None]:
    """What `use` makes of the teacher's detections on photos. The ranks share the photos; each gets all answers.

    Args:
        teacher: its weights take the places of the network's for this time.
        examples: of `dataset`, with the network, and with a note of each photo that cannot be read.
        dataset: the photos.
        positions: of the photos to look at, in rising order.
        use: takes the position of a photo, the photo `[H, W, 3]` uint8, and the detections on it.

    Returns:
        an answer for each position; None where the photo cannot be read.

    Raises:
        PhotoError: too many photos cannot be read any more.
    """
    network = examples.network
    distributed, training = network.distributed, network.training
    own = distributed.strided_shard(positions)
    photos = read_ahead(dataset.only({dataset.images[position].id for position in own}))
    network.eval()
    with teacher.applied(network), single_process(network):
        here: list[T | None] = []
        for position, photo in zip(own, photos, strict=True):
            if isinstance(photo, PhotoError | DataError):
                if examples.lost is not None:
                    examples.lost.add(position, photo)
                here.append(None)
            else:
                here.append(use(position, photo, network.detect([to_tensor(photo)])[0]))
    network.train(training)
    return distributed.gather(here)


def write_labels(
    path: Path,
    dataset: CocoLikeDataset,
    positions: Iterable[int],
    annotations: Iterable[CocoAnnotation],
    info: Mapping[str, Any],
) -> None:
    """Writes labels of a teacher as a COCO file of the photos at `positions` of `dataset`."""
    entries = [dataset.images[position] for position in positions]
    tree = {
        "info": info,
        "images": [
            {"id": entry.id, "file_name": str(entry.path.absolute()), "height": entry.height, "width": entry.width}
            for entry in entries
        ],
        "annotations": list(annotations),
        "categories": [
            {"id": dataset.source_class_id(number), "name": name}
            for number, name in enumerate(dataset.classes, start=1)
        ],
    }
    atomic_write(path, json.dumps(tree, ensure_ascii=False))
