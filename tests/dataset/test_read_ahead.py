"""Photos that are read ahead: in order, some at a time, and with their errors."""

import threading
from pathlib import Path

import numpy as np
import pytest

from clothseg import sample
from clothseg.dataset import CocoLikeDataset, read_ahead
from clothseg.errors import ClothsegError, PhotoError
from clothseg.openimages import BuildOptions, build_dataset
from clothseg.photos import RgbImage


@pytest.fixture
def dataset(tmp_path: Path) -> CocoLikeDataset:
    build_dataset(sample.folder(), tmp_path / "data", ["Suit", "Dress", "Jeans"], BuildOptions(limit=8, max_size=64))
    return CocoLikeDataset().load_data(tmp_path / "data", "train").prepare()


@pytest.mark.parametrize("threads", [1, 3, None])
def test_photos_come_in_their_order(threads: int | None, dataset: CocoLikeDataset) -> None:
    photos = list(read_ahead(dataset, threads))
    assert len(photos) == len(dataset.images) == 8
    for number, photo in enumerate(photos):
        assert not isinstance(photo, ClothsegError)
        assert np.array_equal(photo, dataset.load_image(number))


def test_the_next_photos_are_read_while_one_is_in_use(
    dataset: CocoLikeDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one thread: the first photo comes when three were started, and no more than that are read."""
    load, read, third = dataset.load_image, [], threading.Event()

    def watched(position: int) -> RgbImage:
        read.append(position)
        if position == 2:
            third.set()
        return load(position)

    monkeypatch.setattr(dataset, "load_image", watched)
    photos = read_ahead(dataset, 1)
    next(photos)
    assert third.wait(30)
    photos.close()  # type: ignore[attr-defined]
    assert read == [0, 1, 2]


def test_a_photo_that_cannot_be_read_is_an_error_in_its_place(dataset: CocoLikeDataset) -> None:
    dataset.images[1].path.write_bytes(b"no photo")
    kinds = [isinstance(photo, PhotoError) for photo in read_ahead(dataset, 2)]
    assert kinds == [number == 1 for number in range(8)]
