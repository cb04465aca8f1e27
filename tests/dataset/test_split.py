"""Train and validation by fraction: properties of any split."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clothseg.dataset.split import split_by_fraction
from clothseg.errors import DataError


@given(
    st.lists(st.text("0123456789abcdef", min_size=1, max_size=16), min_size=2, max_size=60, unique=True),
    st.floats(0.001, 0.999),
    st.integers(0, 2**32),
)
def test_a_split_shares_out_all_photos_by_the_fraction(ids: list[str], fraction: float, seed: int) -> None:
    train, val = split_by_fraction(ids, fraction, seed)
    assert train | val == set(ids)
    assert not train & val
    assert train
    assert val
    assert abs(len(val) - fraction * len(ids)) <= 1
    assert split_by_fraction(reversed(ids), fraction, seed) == (train, val)


def test_another_seed_is_another_split_and_one_more_photo_moves_few() -> None:
    ids = [f"{n:016x}" for n in range(200)]
    train, val = split_by_fraction(ids, 0.2, 0)
    assert len(val) == 40
    assert split_by_fraction(ids, 0.2, 1)[1] != val
    assert len(split_by_fraction([*ids, "new"], 0.2, 0)[0] & val) <= 1
    assert len(train) == 160


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.2, float("nan")])
def test_a_fraction_out_of_range(fraction: float) -> None:
    with pytest.raises(DataError, match="fraction"):
        split_by_fraction(["a", "b"], fraction, 0)


def test_one_photo_cannot_be_split() -> None:
    with pytest.raises(DataError, match="two are needed"):
        split_by_fraction(["a", "a"], 0.5, 0)
