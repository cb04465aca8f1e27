"""Repeat factors compared with LVIS's rule worked out by hand, and how often the sampler returns photos."""

from collections import Counter
from pathlib import Path

import pytest

from clothseg.dataset import CocoLikeDataset, Sampler, repeat_factors
from clothseg.instances import CocoAnnotation


def dataset(*classes: list[int], crowd: int = 0) -> CocoLikeDataset:
    data = CocoLikeDataset()
    for class_id, name in enumerate(("suit", "dress", "jeans"), 1):
        data.add_class("coco", class_id, name)
    for number, of_photo in enumerate(classes, 1):
        rows = [CocoAnnotation(image_id=number, category_id=c, iscrowd=crowd) for c in of_photo]
        data.add_image(number, Path(f"{number}.jpg"), 8, 8, rows)
    return data.prepare()


def test_factors_by_hand() -> None:
    # 16 photos: suit on 8 (f 0.5), dress on 4 (0.25), jeans on 1 (0.0625); threshold 0.25
    data = dataset(*[[1]] * 7, [1, 3], *[[2, 2]] * 4, *[[]] * 4)
    # suit sqrt(.25/.5) < 1 -> 1; dress sqrt(1) = 1; jeans sqrt(.25/.0625) = 2, and a photo has the largest
    assert repeat_factors(data, 0.25) == [1.0] * 7 + [2.0] + [1.0] * 8
    assert repeat_factors(data, 0.0) is None
    assert repeat_factors(data, 1.0) == pytest.approx([2**0.5] * 7 + [4.0] + [2.0] * 4 + [1.0] * 4)
    assert repeat_factors(dataset([1], [1], crowd=1), 1.0) == [1.0, 1.0]


def test_photos_occur_as_often_as_their_factors_say_and_resuming_is_exact() -> None:
    factors = [1.0, 2.0, 1.5, 3.25]
    sampler = Sampler(4, 1, 0, 0, factors)
    epochs = 400
    seen: Counter[int] = Counter()
    for _ in range(epochs):
        seen.update(position for position, _ in sampler.next_batch())
        while sampler.waiting:
            seen.update(position for position, _ in sampler.next_batch())
    assert seen[0] == epochs
    assert seen[1] == 2 * epochs
    assert seen[2] / epochs == pytest.approx(1.5, abs=0.1)
    assert seen[3] / epochs == pytest.approx(3.25, abs=0.1)
    sampler.next_batch()
    other = Sampler(4, 1, 0, 9, factors)
    other.load_state_dict(sampler.state_dict())
    assert [sampler.next_batch() for _ in range(50)] == [other.next_batch() for _ in range(50)]
