"""The check of many RLE strings at once, compared with the reader of one string."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from clothseg.errors import DataError
from clothseg.instances import encode, run_lengths
from clothseg.instances.rle_validation import filled_pixels


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
    cut = [text[: int(rng.integers(0, len(text)))] for text in texts]
    assert filled_pixels(cut).tolist() == [one_by_one(text) for text in cut]
    assert all(a != mask.size for a, mask in zip(filled_pixels([t + "1" for t in texts]), masks, strict=True))


def test_too_long_numbers_and_empty_strings() -> None:
    assert filled_pixels([]).tolist() == []
    assert filled_pixels(["", "p" * 40 + "1", "o" * 40, "5"]).tolist() == [0, -1, -1, 5]
