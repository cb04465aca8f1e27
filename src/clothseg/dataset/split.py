"""Splits one set of photos into train and validation."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from clothseg.errors import DataError

_NO_CLASS = ""  # label of photos without a class


def split_photos(
    labels: Mapping[str, Collection[str]], fraction: float, seed: int, together: Iterable[Collection[str]] = ()
) -> tuple[set[str], set[str]]:
    """Splits photos into train and validation so that each class is divided by the fraction (stratified).

    The rarest class is divided first: its photos, sorted by a hash of seed and id, go to validation until that has the
    fraction of them, and the rest to train. Then the next class is divided with the remaining photos. So the split does
    not depend on the order of the photos or on a random generator, and a new photo moves few others.

    Args:
        labels: the classes of each photo, by photo.
        fraction: the part of the photos for validation, above 0 and below 1. A class on two or more photos is in both
            parts if that is possible.
        seed: a different seed gives a different split.
        together: groups of photos that stay in one part, for example near-duplicates. They may overlap.

    Returns:
        The photos for training and the photos for validation.

    Raises:
        DataError: the fraction is out of range, or there are fewer than two photos or groups.
    """
    if not 0 < fraction < 1:
        raise DataError(f"the validation fraction is {fraction}; it must be above 0 and below 1")
    units = _units(labels, together)
    if len(units) < 2:
        raise DataError(
            f"cannot split {len(labels)} photos into train and validation: near-duplicates stay together, so there are "
            f"only {len(units)} groups, and two are needed; add photos"
        )
    ranked = sorted(units, key=lambda unit: (hashlib.sha256(f"{seed}/{unit[0]}".encode()).digest(), unit[0]))
    counts = [Counter(label for photo in unit for label in labels[photo] or (_NO_CLASS,)) for unit in ranked]
    chosen = _choose(counts, fraction)
    if not any(chosen):
        chosen[0] = True
    if all(chosen):
        chosen[-1] = False
    train, val = set[str](), set[str]()
    for unit, to_val in zip(ranked, chosen, strict=True):
        (val if to_val else train).update(unit)
    return train, val


def _units(photos: Collection[str], together: Iterable[Collection[str]]) -> list[list[str]]:
    """Groups of photos that stay together, each sorted. Overlapping groups are merged."""
    leader = {photo: photo for photo in photos}

    def first(photo: str) -> str:
        while leader[photo] != photo:
            leader[photo] = leader[leader[photo]]
            photo = leader[photo]
        return photo

    for group in together:
        known = sorted(photo for photo in group if photo in leader)
        for photo in known[1:]:
            one, other = sorted((first(known[0]), first(photo)))
            leader[other] = one
    units: dict[str, list[str]] = {}
    for photo in sorted(leader):
        units.setdefault(first(photo), []).append(photo)
    return list(units.values())


def _choose(counts: Sequence[Counter[str]], fraction: float) -> list[bool]:
    """Whether each unit goes to validation, from the number of its photos of each class."""
    totals: Counter[str] = Counter()
    units_with: defaultdict[str, list[int]] = defaultdict(list)
    for unit, count in enumerate(counts):
        totals.update(count)
        for label in count:
            units_with[label].append(unit)
    decided: dict[int, bool] = {}
    for label in sorted(totals, key=lambda name: (totals[name], name)):
        wanted, own = fraction * totals[label], units_with[label]
        in_val = [unit for unit in own if decided.get(unit)]
        taken = sum(counts[unit][label] for unit in in_val)
        left_for_train = len(own) - len(in_val)
        for unit in own:
            if unit not in decided:
                nearer = 2 * taken + counts[unit][label] <= 2 * wanted
                to_val = left_for_train > 1 and (nearer or taken == 0)
                decided[unit] = to_val
                taken += counts[unit][label] * to_val
                left_for_train -= to_val
    return [decided[unit] for unit in range(len(counts))]
