"""The check of many RLE strings at once, compared with the reader of one string."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from clothseg.errors import DataError
from clothseg.instances import encode, run_lengths
from clothseg.instances.rle_validation import filled_pixels, pixel_counts


def one_by_one(text: str) -> int:
    try:
        return sum(run_lengths(text))
    except DataError:
        return -1


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(alphabet=[chr(c) for c in [*range(46, 114), 1, 200]], max_size=7), max_size=8))
def test_any_text_gives_the_result_of_the_reader_of_one_string(texts: list[str]) -> None:
    assert filled_pixels(texts).tolist() == [one_by_one(text) for text in texts]


def test_real_masks_fill_their_size_and_damaged_ones_do_not() -> None:
    rng = np.random.default_rng(0)
    masks = [rng.random((int(rng.integers(1, 90)), int(rng.integers(1, 90)))) < rng.random() for _ in range(200)]
    texts = [encode(mask)["counts"] for mask in masks]
    assert filled_pixels(texts).tolist() == [mask.size for mask in masks]
    assert pixel_counts(texts)[1].tolist() == [int(mask.sum()) for mask in masks]
    cut = [text[: int(rng.integers(0, len(text)))] for text in texts]
    assert filled_pixels(cut).tolist() == [one_by_one(text) for text in cut]
    assert all(a != mask.size for a, mask in zip(filled_pixels([t + "1" for t in texts]), masks, strict=True))


def test_too_long_numbers_and_empty_strings() -> None:
    assert filled_pixels([]).tolist() == []
    assert filled_pixels(["", "p" * 40 + "1", "o" * 40, "5"]).tolist() == [0, -1, -1, 5]


def test_masks_that_are_read_in_several_parts() -> None:
    rng = np.random.default_rng(1)
    masks = [rng.random((n % 50 + 1, 60)) < 0.5 for n in range(400)]  # about half a million characters
    texts = [encode(mask)["counts"] for mask in masks]
    texts[300] += "1"
    filled, areas = pixel_counts(texts)
    assert np.flatnonzero(filled != [mask.size for mask in masks]).tolist() == [300]
    assert np.delete(areas, 300).tolist() == [int(mask.sum()) for n, mask in enumerate(masks) if n != 300]
