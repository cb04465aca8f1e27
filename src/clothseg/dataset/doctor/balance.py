"""How many instances each class has: too few, too uneven, or crowds alone."""

from collections import Counter
from collections.abc import Sequence

from clothseg.dataset.doctor.findings import Finding, Location
from clothseg.dataset.doctor.rows import Split
from clothseg.dataset.doctor.splits import same_class

MIN_INSTANCES = 20
_FEWEST_IN_A_SPLIT = 5
_UNEVEN = 10  # times the instances


def check_balance(splits: Sequence[Split], min_instances: int = MIN_INSTANCES) -> list[Finding]:
    """Counts of single objects (no crowds) by class, in all files together and in each.

    Args:
        splits: the files.
        min_instances: a class with fewer in all files together has too few; in each file 5 are
            asked for. 0 asks for none.
    """
    findings = [f for split in splits if (f := _all_crowd(split)) is not None]
    counts = [count_instances(split) for split in splits]
    fewest = min(_FEWEST_IN_A_SPLIT, min_instances)
    total = sum(counts, Counter[str]())
    for name, place in _classes(splits).items():
        own = [(split.name, count[name]) for split, count in zip(splits, counts, strict=True)]
        listed = ", ".join(f"{number} in {split}" for split, number in own)
        scarce = len(splits) > 1 and any(number < fewest for _, number in own)
        if total[name] < min_instances or scarce:
            wanted = f"{min_instances} in all" + (f", {fewest} in each file" if len(splits) > 1 else "")
            words = f"{name!r} has {total[name]} instances ({listed}); wanted are {wanted}"
            findings.append(Finding("too_few_instances", place, words))
    return findings + [f for s, c in zip(splits, counts, strict=True) if (f := _uneven(s, c)) is not None]


def count_instances(split: Split) -> Counter[str]:
    """Instances by class, crowds left out. Names are those of `same_class`."""
    names = {number: same_class(row.name) for number, row in split.categories_by_id().items()}
    return Counter(names[r.category_id] for r in split.annotations if r.category_id in names and not r.crowd)


def _classes(splits: Sequence[Split]) -> dict[str, Location]:
    places: dict[str, Location] = {}
    for split in splits:
        for row in split.categories:
            if row.name.strip():
                places.setdefault(same_class(row.name), row.place)
    return places


def _all_crowd(split: Split) -> Finding | None:
    if not split.annotations or not all(row.crowd for row in split.annotations):
        return None
    words = f"all {len(split.annotations)} annotations have iscrowd 1"
    return Finding("all_crowd", Location(str(split.file)), words)


def _uneven(split: Split, counts: Counter[str]) -> Finding | None:
    """Classes without any instance are not uneven but too few."""
    if len(counts) < 2:
        return None
    (most, many), *_, (least, few) = counts.most_common()
    if many <= _UNEVEN * few:
        return None
    words = f"{many} instances of {most!r} against {few} of {least!r} in {split.name}: {many / few:.0f} times as many"
    return Finding("class_imbalance", Location(str(split.file)), words)
