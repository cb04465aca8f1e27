"""Copies of photos by their hashes, compared with a search over all pairs."""

import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from clothseg.dataset.duplicates import copies_among, near_duplicates


def hashes(seed: int, count: int = 60) -> dict[str, str]:
    """Hashes in a few clusters, chains among them, some equal, some empty, in no order."""
    rng = np.random.default_rng(seed)
    values = [int(value) for value in rng.integers(0, 2**63, 6)]
    while len(values) < count:
        value = values[rng.integers(len(values))]
        for bit in rng.integers(0, 64, rng.integers(0, 5)).tolist():
            value ^= 1 << bit
        values.append(value)
    names = rng.permutation([f"{number}.jpg" for number in range(count)]).tolist()
    return {name: "" if rng.random() < 0.05 else f"{value:016x}" for name, value in zip(names, values, strict=True)}


def distances(one: list[str], other: list[str]) -> NDArray[np.int64]:
    """How many bits differ, for all pairs; 64 with an empty hash."""
    return np.array([[(int(a, 16) ^ int(b, 16)).bit_count() if a and b else 64 for b in other] for a in one])


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("near", [0, 3, 5])
def test_pairs_connect_all_that_are_near(seed: int, near: int) -> None:
    given = hashes(seed)
    names = sorted(given)
    close = distances([given[n] for n in names], [given[n] for n in names]) <= near
    pairs = near_duplicates(given, near)
    place = {name: position for position, name in enumerate(names)}
    ends = np.array([[place[one], place[other]] for one, other in pairs], dtype=int).reshape(-1, 2)
    assert close[ends[:, 0], ends[:, 1]].all() and (ends[:, 0] < ends[:, 1]).all()
    assert pairs == sorted(pairs)
    found = csr_array((np.ones(len(ends)), ends.T), shape=close.shape)
    groups, numbers = connected_components(csr_array(close), directed=False)
    assert connected_components(found, directed=False)[0] == groups == len(names) - len(pairs)
    assert all(numbers[one] == numbers[other] for one, other in ends)


@pytest.mark.parametrize("seed", range(8))
def test_each_copy_is_near_one_of_the_others(seed: int) -> None:
    own, others = hashes(seed), {f"val {name}": digits for name, digits in hashes(seed + 1).items()}
    others |= {f"train {name}": digits for name, digits in list(own.items())[::7]}
    close = distances(list(own.values()), list(others.values())) <= 3
    found = copies_among(own, others)
    assert found.keys() == {name for name, row in zip(own, close, strict=True) if row.any()}
    for name, original in found.items():
        assert close[list(own).index(name), list(others).index(original)]
    assert found == copies_among(dict(reversed(own.items())), dict(reversed(others.items())))


def test_thousands_of_equal_frames_need_little_memory() -> None:
    """The pairs of each with each would be 18 million."""
    frames = {f"{number:04d}.jpg": f"{0xF0F0F0F0 ^ (1 << number % 3):016x}" for number in range(6000)}
    tracemalloc.start()
    pairs = near_duplicates(frames)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(pairs) == 5999
    assert peak < 30e6
