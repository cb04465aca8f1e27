"""Train and validation out of one set of photos."""

import hashlib
from collections.abc import Iterable

from clothseg.errors import DataError


def split_by_fraction(ids: Iterable[str], fraction: float, seed: int) -> tuple[set[str], set[str]]:
    """Split photos into train and validation.

    Photos are ranked by a hash of seed and id, so the answer depends on neither the order of `ids` nor a generator's
    version, and a photo that is added moves at most the one at the edge.

    Args:
        ids: names of photos; twice the same counts once.
        fraction: part of the photos for validation, above 0 and below 1. Rounded to whole photos, at least one each.
        seed: another seed, another split.

    Returns:
        ids for training, ids for validation: nothing in common, together all.

    Raises:
        DataError: the fraction is out of range, or there are fewer than two photos.
    """
    if not 0 < fraction < 1:
        raise DataError(f"the validation fraction is {fraction}, but must lie above 0 and below 1")
    ranked = sorted(set(ids), key=lambda name: (hashlib.sha256(f"{seed}/{name}".encode()).digest(), name))
    if len(ranked) < 2:
        raise DataError(f"{len(ranked)} photo cannot be split into train and validation: two are needed at least")
    count = min(max(round(len(ranked) * fraction), 1), len(ranked) - 1)
    return set(ranked[count:]), set(ranked[:count])
