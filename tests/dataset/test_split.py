"""The split by fraction: properties that every split must have."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from clothseg.dataset.split import split_photos
from clothseg.errors import DataError


@given(
    st.lists(st.text("0123456789abcdef", min_size=1, max_size=16), min_size=2, max_size=60, unique=True),
    st.floats(0.001, 0.999),
    st.integers(0, 2**32),
)
def test_all_photos_are_divided_by_the_fraction(ids: list[str], fraction: float, seed: int) -> None:
    train, val = split_photos(dict.fromkeys(ids, ()), fraction, seed)
    assert train | val == set(ids)
    assert not train & val
    assert train
    assert val
    assert abs(len(val) - fraction * len(ids)) <= 1
    assert split_photos(dict.fromkeys(reversed(ids), ()), fraction, seed) == (train, val)


def test_another_seed_gives_another_split_and_a_new_photo_moves_few() -> None:
    ids = [f"{n:016x}" for n in range(200)]
    train, val = split_photos(dict.fromkeys(ids, ()), 0.2, 0)
    assert len(val) == 40
    assert split_photos(dict.fromkeys(ids, ()), 0.2, 1)[1] != val
    assert len(split_photos(dict.fromkeys([*ids, "new"], ()), 0.2, 0)[0] & val) <= 1
    assert len(train) == 160


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.2, float("nan")])
def test_a_fraction_out_of_range_is_an_error(fraction: float) -> None:
    with pytest.raises(DataError, match="fraction"):
        split_photos({"a": (), "b": ()}, fraction, 0)


def test_one_photo_cannot_be_split() -> None:
    with pytest.raises(DataError, match="two are needed"):
        split_photos({"a": ()}, 0.5, 0)


@given(
    st.dictionaries(st.integers(0, 999).map(str), st.sets(st.sampled_from("abcd")), min_size=2, max_size=80),
    st.lists(st.sets(st.integers(0, 999).map(str), max_size=3), max_size=5),
    st.floats(0.05, 0.95),
    st.integers(0, 99),
)
def test_groups_stay_together(labels: dict[str, set[str]], groups: list[set[str]], fraction: float, seed: int) -> None:
    together = [group & labels.keys() for group in groups]
    assume(len(set().union(*together)) < len(labels))  # else all photos can be one group
    train, val = split_photos(labels, fraction, seed, together)
    assert train | val == labels.keys()
    assert not train & val
    assert train
    assert val
    for group in together:
        assert group <= train or group <= val


def test_each_class_is_divided_by_the_fraction() -> None:
    labels = {f"{n:04d}": {"common"} | ({"rare"} if n % 10 == 0 else set()) for n in range(500)}
    labels |= {"x1": {"single"}, "x2": {"pair"}, "x3": {"pair"}}
    for seed in range(5):
        train, val = split_photos(labels, 0.2, seed)
        assert sum("rare" in labels[i] for i in val) == 10
        assert sum("common" in labels[i] for i in val) == 100
        assert len({"x2", "x3"} & val) == 1
        assert "x1" in train
