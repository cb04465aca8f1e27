"""Order of photos: resuming is exact, and repeat factors are those of LVIS's rule, worked out by hand."""

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


def test_photos_without_objects_take_a_share_of_the_batches_by_hand() -> None:
    data = dataset(*[[1]] * 6, *[[]] * 4)
    assert repeat_factors(data, 0.0, 0.4) is None  # 4 of 10
    # with 6 others, 2 are a quarter: each of 4 comes half as often
    assert repeat_factors(data, 0.0, 0.25) == [1.0] * 6 + [0.5] * 4
    assert repeat_factors(data, 0.0, 0.0) == [1.0] * 6 + [0.0] * 4
    # threshold 2.4: suit sqrt(2.4 / 0.6) = 2, so 12 draws, and 4 empty ones are a quarter of 16
    assert repeat_factors(data, 2.4, 0.25) == [2.0] * 6 + [1.0] * 4
    assert repeat_factors(data, 2.4, 0.2) == pytest.approx([2.0] * 6 + [0.75] * 4)
    assert repeat_factors(dataset([], []), 0.0, 0.1) is None  # nothing else to draw
    assert repeat_factors(dataset([1], [1], crowd=1), 0.0, 0.1) is None
    crowds = dataset([1], [1])
    crowds.images[0].annotations[0]["iscrowd"] = 1
    assert repeat_factors(crowds, 0.0, 0.2) == [0.25, 1.0]


def with_masks(data: CocoLikeDataset, positions: range) -> CocoLikeDataset:
    for position in positions:
        for row in data.images[position].annotations:
            row["segmentation"] = [[0.0, 0.0, 4.0, 0.0, 4.0, 4.0]]
    return data


def test_photos_with_masks_take_a_share_of_the_batches_by_hand() -> None:
    data = with_masks(dataset(*[[1]] * 4, *[[2]] * 2, *[[]] * 2), range(4, 6))  # 2 photos with masks of 8
    assert repeat_factors(data, 0.0, 1.0, 0.2) == [1.0] * 8  # 2 of 8 are more already
    assert repeat_factors(data, 0.0, 1.0, 0.5) == [1.0] * 4 + [3.0] * 2 + [1.0] * 2  # 6 of 12
    # 4 with boxes and 2 with masks are five sixths of 7.2 draws, so one of the others; then 2 masks as 5.2 of 10.4
    assert repeat_factors(data, 0.0, 1 / 6, 0.5) == pytest.approx([1.0] * 4 + [2.6] * 2 + [0.6] * 2)
    # threshold 1: suit sqrt(8 / 4), dress sqrt(8 / 2)
    half = (4 * 2**0.5 + 2) / 2
    assert repeat_factors(data, 1.0, 1.0, 0.5) == pytest.approx([2**0.5] * 4 + [half] * 2 + [1.0] * 2)
    assert repeat_factors(data, 0.0, 1.0, 0.9) == [1.0] * 4 + [4.0] * 2 + [1.0] * 2, "not more than four times"


def test_a_share_of_masks_changes_nothing_where_all_have_them_or_none() -> None:
    data = dataset([1], [2], [])
    assert repeat_factors(data, 0.0, 1.0, 0.5) is None, "no photo has a mask"
    assert repeat_factors(with_masks(data, range(2)), 0.0, 1.0, 0.5) is None, "no labelled photo has boxes alone"
    assert repeat_factors(with_masks(dataset([1], [2]), range(1)), 0.0, 1.0, 0.0) is None
    mixed = dataset([1, 1], [2])
    mixed.images[0].annotations[0]["segmentation"] = [[0.0, 0.0, 4.0, 0.0, 4.0, 4.0]]  # a mask and a box on one photo
    assert repeat_factors(mixed, 0.0, 1.0, 0.75) == [3.0, 1.0]


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


def test_an_epoch_has_every_photo_once_and_resuming_is_exact() -> None:
    sampler = Sampler(7, 3, 2, seed=0)
    batches = [sampler.next_batch() for _ in range(7)]
    positions = [position for batch in batches for position, _ in batch]
    assert all(sorted(positions[i : i + 7]) == list(range(7)) for i in (0, 7, 14))
    state = sampler.state_dict()
    expected = [sampler.next_batch() for _ in range(5)]
    other = Sampler(7, 3, 2, seed=5)
    other.load_state_dict(state)
    assert [other.next_batch() for _ in range(5)] == expected


@pytest.mark.parametrize("versions", [0, 3])
def test_peeking_changes_neither_order_nor_state(versions: int) -> None:
    plain, ahead = (Sampler(5, 2, versions, seed=4) for _ in range(2))
    for _ in range(7):
        peek = ahead.peek(3)
        state = ahead.state_dict()
        expected = plain.next_batch()
        assert ahead.next_batch() == expected == peek[0]
        again = Sampler(5, 2, versions, seed=9)
        again.load_state_dict(state)
        assert again.next_batch() == expected
