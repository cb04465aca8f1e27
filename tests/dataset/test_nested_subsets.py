"""Nested parts: prefixes of one order, in proportion to the classes."""

import itertools

import numpy as np
import pytest

from clothseg.dataset.nested_subsets import nested_subsets, part_sizes
from clothseg.errors import ConfigError, DataError


def labels(photos: int, seed: int = 0) -> dict[int, list[str]]:
    rng = np.random.default_rng(seed)
    shares = {"Suit": 0.2, "Dress": 0.6, "Jeans": 0.1}
    return {
        int(n): [name for name, share in shares.items() if rng.random() < share] for n in rng.permutation(photos) + 5
    }


def test_parts_are_nested_and_in_proportion() -> None:
    known = labels(240)
    sizes = [30, 60, 120, 240]
    parts = nested_subsets(known, sizes)
    assert [len(set(part)) for part in parts] == sizes
    for smaller, larger in itertools.pairwise(parts):
        assert larger[: len(smaller)] == smaller
    for part in parts:
        for name in ("Suit", "Dress", "Jeans"):
            wanted = len(part) * sum(name in of for of in known.values()) / len(known)
            assert abs(sum(name in known[photo] for photo in part) - wanted) <= 1.5
        wanted = len(part) * sum(not of for of in known.values()) / len(known)
        assert abs(sum(not known[photo] for photo in part) - wanted) <= 1.5


def test_the_order_of_the_photos_does_not_matter_and_the_seed_does() -> None:
    known = labels(60)
    turned = dict(reversed(known.items()))
    assert nested_subsets(known, [20]) == nested_subsets(turned, [20])
    assert nested_subsets(known, [20]) != nested_subsets(known, [20], seed=1)


@pytest.mark.parametrize("size", [0, 7])
def test_impossible_sizes_are_refused(size: int) -> None:
    with pytest.raises(DataError, match=f"a part of {size} photos is not possible: there are 6 photos"):
        nested_subsets(labels(6), [size])


def test_sizes_of_parts() -> None:
    assert part_sizes(["1", "1/8", " 1/4", "0.5"], 268) == [34, 67, 134, 268]
    assert part_sizes(["50", "100", "1"], 268) == [50, 100, 268]
    for wrong in ("0", "-1/2", "x", "1/0", "300", "2.5"):
        with pytest.raises(ConfigError, match="--parts"):
            part_sizes([wrong], 268)
