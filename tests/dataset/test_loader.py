"""Photos on their way to the network: looking ahead changes nothing, and kept photos are the same photos."""

from pathlib import Path

import numpy as np
import pytest
import torch

from clothseg import sample
from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset, Sampler
from clothseg.errors import PhotoError
from clothseg.networks import build_network
from clothseg.photos import read_photo
from clothseg.training import Examples


@pytest.fixture
def photos() -> CocoLikeDataset:
    dataset = CocoLikeDataset()
    dataset.add_class("coco", 1, "Suit")
    for number, path in enumerate(sorted((sample.folder() / "train").glob("*.jpg"))[:3], start=1):
        height, width = read_photo(path).shape[:2]
        square = [40.0, 40.0, 200.0, 40.0, 200.0, 200.0, 40.0, 200.0]
        row = {"id": number, "category_id": 1, "segmentation": [square], "iscrowd": 0}
        dataset.add_image(number, path, height, width, [row])
    return dataset.prepare()


@pytest.mark.parametrize("versions", [0, 3])
def test_looking_ahead_changes_neither_order_nor_state(versions: int) -> None:
    plain, ahead = (Sampler(5, 2, versions, seed=4) for _ in range(2))
    for _ in range(7):
        peek = ahead.peek(3)
        state = ahead.state_dict()
        expected = plain.next_batch()
        assert ahead.next_batch() == expected == peek[0]
        again = Sampler(5, 2, versions, seed=9)
        again.load_state_dict(state)
        assert again.next_batch() == expected


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_threads_load_what_the_step_would_load(workers: int, photos: CocoLikeDataset) -> None:
    config = Config.load("demo", [f"train.workers={workers}", "augment.fixed_views=0", "augment.rotate=20"])
    examples = Examples(build_network(config, 1), photos, config, augmented=True)
    places = [(0, 1), (2, 2), (1, 3), (2, 2)]
    examples.prefetch(places)
    assert len(examples.pending) == (3 if workers else 0)
    for place in places:
        image, truth = examples._loaded(*place)
        expected, same = examples.load(*place)
        assert torch.equal(image, expected)
        assert torch.equal(truth.boxes, same.boxes)
    assert not examples.pending


def test_a_photo_that_cannot_be_read_is_told_in_its_own_step(photos: CocoLikeDataset) -> None:
    config = Config.load("demo", ["train.workers=1", "augment.fixed_views=0"])
    examples = Examples(build_network(config, 1), photos, config, augmented=True)
    object.__setattr__(photos.images[1], "path", Path("gone.jpg"))
    examples.prefetch([(0, 1), (1, 2)])
    examples._loaded(0, 1)
    with pytest.raises(PhotoError, match=r"gone\.jpg"):
        examples._loaded(1, 2)


def test_photos_are_kept_as_long_as_they_fit(photos: CocoLikeDataset) -> None:
    sizes = [entry.height * entry.width * 3 for entry in photos.images]
    assert photos.cache_images(sizes[0] + sizes[1]) == 2
    first = [photos.load_image(position) for position in range(3)]
    again = [photos.load_image(position) for position in range(3)]
    assert [a is b for a, b in zip(first, again, strict=True)] == [True, True, False]
    assert np.array_equal(first[2], again[2])
    assert photos.cache_images(0) == 0
    assert photos.load_image(0) is not first[0]
