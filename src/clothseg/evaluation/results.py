"""A network's detections as COCO results. `validate_results.py` reads those that are in a file already."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from clothseg.dataset import CocoLikeDataset
from clothseg.errors import DataError, PhotoError
from clothseg.instances import CocoResult, Instances, coco_results
from clothseg.networks import to_tensor


class Detector(Protocol):
    """Anything that finds instances on photos; see `networks.Network`."""

    def detect(self, images: list[Tensor]) -> list[Instances]:
        """The instances on each photo (RGB `[3, H, W]`, uint8 or float in 0..1), in the photo's own pixels."""
        ...


def detections(
    detector: Detector,
    dataset: CocoLikeDataset,
    classes: Sequence[str] | None = None,
    unread: list[str] | None = None,
) -> Iterator[list[CocoResult]]:
    """Yields for each photo of a prepared dataset what `detector` finds on it, as COCO results.

    Args:
        detector: finds the instances.
        dataset: the photos; the results have its class ids.
        classes: names of the detector's classes 1..K; by default those of the dataset. Detections of classes that the
            dataset does not have are left out.
        unread: if given, a photo that cannot be read gives no results, and a message in this list. Otherwise it is an
            error.
    """
    known = dataset.classes if classes is None else classes
    ids = {
        n: dataset.source_class_id(dataset.classes.index(c) + 1) for n, c in enumerate(known, 1) if c in dataset.classes
    }
    shared = torch.tensor([label in ids for label in range(len(known) + 1)])
    with torch.no_grad():
        for position, image in enumerate(dataset.images):
            try:
                photo = dataset.load_image(position)
            except (PhotoError, DataError) as error:
                if unread is None:
                    raise
                unread.append(str(error))
                yield []
                continue
            found = detector.detect([to_tensor(photo)])[0]
            yield coco_results(image.id, found[shared[found.classes.cpu()]], ids.__getitem__)
