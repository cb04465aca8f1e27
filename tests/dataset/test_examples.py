"""Loading examples: versions repeat, and cached photos are the same photos."""

import numpy as np
import pytest
import torch

from clothseg import sample
from clothseg.config import AugmentSettings
from clothseg.dataset import CocoLikeDataset, load_example
from clothseg.instances import CocoAnnotation
from clothseg.photos import read_photo


@pytest.fixture
def photos() -> CocoLikeDataset:
    dataset = CocoLikeDataset()
    dataset.add_class("coco", 1, "Suit")
    for number, path in enumerate(sorted((sample.folder() / "train").glob("*.jpg"))[:3], start=1):
        height, width = read_photo(path).shape[:2]
        square = [40.0, 40.0, 200.0, 40.0, 200.0, 200.0, 40.0, 200.0]
        row: CocoAnnotation = {
            "id": number,
            "image_id": number,
            "category_id": 1,
            "segmentation": [square],
            "iscrowd": 0,
        }
        dataset.add_image(number, path, height, width, [row])
    return dataset.prepare()


def test_versions_repeat(photos: CocoLikeDataset) -> None:
    settings = AugmentSettings.model_validate({"fixed_views": 3, "saturation": 0.5})
    first, again, other = (load_example(photos, 0, settings, version)[0] for version in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(load_example(photos, 0, settings, 0)[0], load_example(photos, 0, None)[0])


def test_photos_are_cached_as_long_as_they_fit(photos: CocoLikeDataset) -> None:
    sizes = [entry.height * entry.width * 3 for entry in photos.images]
    assert photos.cache_images(sizes[0] + sizes[1]) == 2
    first = [photos.load_image(position) for position in range(3)]
    again = [photos.load_image(position) for position in range(3)]
    assert [a is b for a, b in zip(first, again, strict=True)] == [True, True, False]
    assert np.array_equal(first[2], again[2])
    assert photos.cache_images(0) == 0
    assert photos.load_image(0) is not first[0]
