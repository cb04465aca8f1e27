"""A network's detections as COCO results. `validate_results.py` reads those that are in a file already."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor

from clothseg.dataset import CocoLikeDataset, read_ahead
from clothseg.errors import ClothsegError, DataError, UnreadPhotosError
from clothseg.instances import CocoResult, Instances, RleMasks, coco_results, encode_photos, has_gpu_maps
from clothseg.networks import to_tensor

_ENCODED_TOGETHER = 8
"""Photos whose masks a GPU turns into run lengths at once; until then the masks are small maps."""


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
    """For each photo of a prepared dataset what `detector` finds on it, as COCO results.

    Args:
        detector: finds the instances.
        dataset: the photos; the results have its class ids.
        classes: names of the detector's classes 1..K; by default its own `classes` where it names them, as models do,
            or those of the dataset. Detections of classes that the dataset does not have are left out.
        unread: receives a message for each photo that cannot be read.

    Yields:
        A list for each photo; empty for one that cannot be read.

    Raises:
        DataError: the detector finds a class without a name.
        UnreadPhotosError: at the end, if photos cannot be read and `unread` is not given.
    """
    messages: list[str] = []
    known = classes or _own_classes(detector) or dataset.classes
    ids = {
        n: dataset.source_class_id(dataset.classes.index(c) + 1) for n, c in enumerate(known, 1) if c in dataset.classes
    }
    shared = torch.tensor([label in ids for label in range(len(known) + 1)])
    waiting: list[tuple[int, Instances | None]] = []
    with torch.no_grad():
        for image, photo in zip(dataset.images, read_ahead(dataset), strict=True):
            if isinstance(photo, ClothsegError):
                messages.append(str(photo))
                waiting.append((image.id, None))
                continue
            found = detector.detect([to_tensor(photo)])[0]
            labels = found.classes.cpu()
            if len(labels) and (label := int(labels.max())) > len(known):
                raise DataError(f"the detector finds class {label}, but only 1 to {len(known)} have names: {known}")
            waiting.append((image.id, found[shared[labels]]))
            if len(waiting) >= _ENCODED_TOGETHER or not has_gpu_maps(found.masks):
                yield from _as_results(waiting, ids)
                waiting = []
        yield from _as_results(waiting, ids)
    if unread is not None:
        unread += messages
    elif messages:
        raise UnreadPhotosError(messages, len(dataset))


def _own_classes(detector: Detector) -> Sequence[str]:
    """The class names of a detector that has them; a network only has their number."""
    own = getattr(detector, "classes", ())
    return own if isinstance(own, list | tuple) else ()


def _as_results(photos: Sequence[tuple[int, Instances | None]], ids: Mapping[int, int]) -> Iterator[list[CocoResult]]:
    """The COCO results of some photos, given by their ids; none of a photo that is None. A GPU is waited for twice."""
    runs = iter(encode_photos([found.masks for _, found in photos if found is not None]))
    for image_id, found in photos:
        if found is None:
            yield []
        else:
            encoded = replace(found, masks=RleMasks(next(runs), found.size))
            yield coco_results(image_id, encoded, ids.__getitem__)
