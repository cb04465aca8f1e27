"""One thing, several things."""

import itertools

import pytest

from clothseg.counting import counted, first_names, spread


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


@pytest.mark.parametrize(("count", "text"), [(1, "0"), (3, "0, 1, 2"), (11, "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10"),
                                             (200, "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 190 more")])  # fmt: skip
def test_a_long_list_has_its_first_names(count: int, text: str) -> None:
    assert first_names([str(number) for number in range(count)]) == text


def test_positions_are_spread_from_the_first_to_the_last() -> None:
    assert spread(3, 5) == [0, 1, 2]
    assert spread(0, 5) == []
    assert spread(12, 12) == list(range(12))
    assert spread(9, 1) == [0]
    assert spread(9, 3) == [0, 4, 8]
    for count, wanted in ((10, 4), (13, 12), (1000, 12), (1000, 200), (201, 200)):
        found = spread(count, wanted)
        assert (found[0], found[-1], len(set(found))) == (0, count - 1, wanted)
        steps = [after - before for before, after in itertools.pairwise(found)]
        assert max(steps) - min(steps) <= 1
