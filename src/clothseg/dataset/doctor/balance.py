"""Checks the number of instances of each class: too few, too uneven, only crowds, or boxes without a mask."""

from collections import Counter
from collections.abc import Mapping, Sequence

from clothseg.counting import counted
from clothseg.dataset.doctor.findings import Finding, Location
from clothseg.dataset.doctor.rows import Split
from clothseg.instances.class_names import class_name_key

MIN_INSTANCES = 20
_MIN_PER_SPLIT = 5
_MAX_RATIO = 10  # of the most frequent class to the rarest


def check_balance(splits: Sequence[Split], min_instances: int = MIN_INSTANCES) -> list[Finding]:
    """Checks the number of instances of each class, without crowds, in each file and in all files together.

    Args:
        splits: the files.
        min_instances: required in all files together. Each of several files needs 5, or `min_instances` if that is
            less. 0 switches this check off.
    """
    per_file = [check(split) for split in splits for check in (_all_crowd, _box_only)]
    findings = [finding for finding in per_file if finding is not None]
    counts = [count_instances(split) for split in splits]
    min_per_split = min(_MIN_PER_SPLIT, min_instances)
    total = sum(counts, Counter[str]())
    classes, several = _classes(splits), len(splits) > 1
    for key, (name, location) in classes.items():
        in_splits = [(split.name, count[key]) for split, count in zip(splits, counts, strict=True)]
        scarce = several and any(number < min_per_split for _, number in in_splits)
        if total[key] < min_instances or scarce:
            listed = ", ".join(f"{number} in {split}" for split, number in in_splits)
            where = f" ({listed})" if several else ""
            required = f"{min_instances} in total and {min_per_split} per file" if several else f"{min_instances}"
            message = f"{name!r} has {counted(total[key], 'instance')}{where}; required: {required}"
            findings.append(Finding("too_few_instances", location, message))
    names = {key: name for key, (name, _) in classes.items()}
    return findings + [f for s, c in zip(splits, counts, strict=True) if (f := _uneven(s, c, names)) is not None]


def count_instances(split: Split) -> Counter[str]:
    """Counts instances by class, without crowds. Class names are those of `class_name_key`."""
    names = {number: class_name_key(row.name) for number, row in split.categories_by_id.items()}
    return Counter(names[r.category_id] for r in split.annotations if r.category_id in names and not r.crowd)


def _classes(splits: Sequence[Split]) -> dict[str, tuple[str, Location]]:
    """The name of each class as the first file has it, and the place there, by the key of the name."""
    found: dict[str, tuple[str, Location]] = {}
    for split in splits:
        for row in split.categories:
            if row.name.strip():
                found.setdefault(class_name_key(row.name), (row.name.strip(), row.location))
    return found


def _all_crowd(split: Split) -> Finding | None:
    if not split.annotations or not all(row.crowd for row in split.annotations):
        return None
    message = f"all {len(split.annotations)} annotations have iscrowd 1"
    return Finding("all_crowd", split.location, message)


def _box_only(split: Split) -> Finding | None:
    """How many objects of each class have a box and no mask."""
    names = {number: row.name for number, row in split.categories_by_id.items()}
    counts = Counter(names[r.category_id] for r in split.annotations if r.box_only and r.category_id in names)
    if not counts:
        return None
    objects = sum(not row.crowd for row in split.annotations)
    listed = ", ".join(f"{name!r} {number}" for name, number in counts.most_common())
    message = f"{counts.total()} of {objects} objects have a box and no mask: {listed}"
    return Finding("box_only", split.location, message)


def _uneven(split: Split, counts: Counter[str], names: Mapping[str, str]) -> Finding | None:
    """Classes without instances are ignored here: they have too few."""
    if len(counts) < 2:
        return None
    (most, many), *_, (least, few) = counts.most_common()
    if many <= _MAX_RATIO * few:
        return None
    frequent, rare = names.get(most, most), names.get(least, least)
    message = f"{split.name} has {many} instances of {frequent!r} and {few} of {rare!r}, a ratio of {many / few:.0f}"
    return Finding("class_imbalance", split.location, message)
