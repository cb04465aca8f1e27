"""One thing, several things."""

import pytest

from clothseg.counting import counted


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((0, "photo"), "0 photos"),
        ((1, "photo"), "1 photo"),
        ((2, "photo"), "2 photos"),
        ((1234567, "row"), "1,234,567 rows"),
        ((1, "box", "boxes"), "1 box"),
        ((3, "box", "boxes"), "3 boxes"),
    ],
)
def test_a_number_and_its_thing(words: tuple[int, str] | tuple[int, str, str], text: str) -> None:
    assert counted(*words) == text
