"""Several files together: photos that stand in two of them, and classes that do not agree."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clothseg.dataset.doctor.findings import Finding
from clothseg.dataset.doctor.photos import ImageStats
from clothseg.dataset.doctor.rows import CategoryRow, Id, ImageRow, Split

# On 640 street photos, all different, no pair reaches both; copies resized, recompressed, made a third brighter, cut
# by 2 % at each edge or turned by 2 degrees nearly all do.
_MOST_BITS = 12
_LEAST_CORRELATION = 0.9
_BATCH = 4096
_CHUNK = 512  # photos compared at once with all of the other split: 512 x 100,000 bits stay under 100 MB


def check_datasets(splits: Sequence[Split], looks: Mapping[Path, ImageStats]) -> list[Finding]:
    """Photos that are in one split twice or, alike byte for byte or to the eye, in two."""
    findings = []
    for split in splits:
        findings += _twice(split, looks)
    for one, two in combinations(splits, 2):
        # The photo of the larger split is named: a validation split that shrinks loses more.
        larger, smaller = (one, two) if len(one.images) >= len(two.images) else (two, one)
        findings += _in_both(larger, smaller, looks)
    return findings


def _readable(split: Split, looks: Mapping[Path, ImageStats]) -> list[tuple[ImageRow, ImageStats]]:
    pairs = [(row, looks[row.path]) for row in split.images if row.path is not None and row.path in looks]
    return [(row, look) for row, look in pairs if not look.error]


def _twice(split: Split, looks: Mapping[Path, ImageStats]) -> list[Finding]:
    first: dict[bytes, ImageRow] = {}
    findings = []
    for row, look in _readable(split, looks):
        earlier = first.setdefault(look.digest, row)
        if earlier is not row:
            words = f"the same photo as image {earlier.id!r}, {earlier.file_name}"
            findings.append(Finding("duplicate_photo", row.place, words, earlier.place))
    return findings


def _in_both(larger: Split, smaller: Split, looks: Mapping[Path, ImageStats]) -> list[Finding]:
    ours, theirs = _readable(larger, looks), _readable(smaller, looks)
    by_digest = {look.digest: row for row, look in theirs}
    findings = []
    for row, look in ours:
        if (other := by_digest.get(look.digest)) is not None:
            words = f"the same photo is image {other.id!r} of {smaller.name}, {other.file_name}"
            findings.append(Finding("photo_in_two_splits", row.place, words, other.place))
    for left, right, bits, correlation in similar([look for _, look in ours], [look for _, look in theirs]):
        if ours[left][1].digest == theirs[right][1].digest:
            continue
        other = theirs[right][0]
        words = (
            f"nearly the same as image {other.id!r} of {smaller.name}, {other.file_name}: {bits} of 64 hash bits "
            f"differ, correlation {correlation:.2f}"
        )
        findings.append(Finding("similar_photos", ours[left][0].place, words, other.place))
    return findings


def similar(ours: Sequence[ImageStats], theirs: Sequence[ImageStats]) -> Iterator[tuple[int, int, int, float]]:
    """Photos of ours that look like one of theirs, each with the one that it is most like.

    Yields:
        position in each, hash bits that differ, correlation of the small grey pictures.
    """
    if not ours or not theirs:
        return
    bits = [np.array([look.bits for look in side], dtype=np.uint64) for side in (ours, theirs)]
    thumbs = [np.stack([_thumb(look) for look in side]) for side in (ours, theirs)]
    for start in range(0, len(ours), _CHUNK):
        distance = np.bitwise_count(bits[0][start : start + _CHUNK, None] ^ bits[1][None])
        pairs = np.argwhere(distance <= _MOST_BITS)
        correlation = _correlations(thumbs[0][start : start + _CHUNK], thumbs[1], pairs)
        alike = np.flatnonzero(correlation >= _LEAST_CORRELATION)
        alike = alike[np.lexsort((-correlation[alike], pairs[alike, 0]))]
        _, first = np.unique(pairs[alike, 0], return_index=True)
        for left, right, value in zip(*pairs[alike[first]].T, correlation[alike[first]], strict=True):
            yield start + int(left), int(right), int(distance[left, right]), float(value)


def _correlations(
    ours: NDArray[np.float32], theirs: NDArray[np.float32], pairs: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Of the rows that `pairs` `[K, 2]` names, a few at a time."""
    batches = [pairs[start : start + _BATCH] for start in range(0, len(pairs), _BATCH)]
    found = [np.einsum("ij,ij->i", ours[batch[:, 0]], theirs[batch[:, 1]]) for batch in batches]
    return np.concatenate(found) if found else np.zeros(0, dtype=np.float32)


def _thumb(look: ImageStats) -> NDArray[np.float32]:
    if look.thumb is None:
        raise ValueError("a photo that could not be read has no picture to compare")
    return look.thumb


def same_class(name: str) -> str:
    """What names of one class have in common: case and blanks do not count."""
    return " ".join(name.casefold().split())


def check_classes(splits: Sequence[Split]) -> list[Finding]:
    """Class names and ids that disagree, within a file or between two."""
    findings: list[Finding] = []
    spelling: dict[str, CategoryRow] = {}
    by_id: dict[Id, CategoryRow] = {}
    for split in splits:
        for row in split.categories:
            if not row.name.strip():
                continue
            first = spelling.setdefault(same_class(row.name), row)
            if first.name != row.name:
                words = f"{row.name!r}, but {first.name!r} in {first.place.text()}"
                findings.append(Finding("class_name_case", row.place, words, first.place))
            if first is not row and row.id is not None and first.id is not None and first.id != row.id:
                words = f"{row.name!r} has id {row.id!r}, but {first.id!r} in {first.place.text()}"
                findings.append(Finding("class_id_differs", row.place, words, first.place))
            if row.id is None:
                continue
            holder = by_id.setdefault(row.id, row)
            elsewhere = holder.place.file != row.place.file
            if elsewhere and same_class(holder.name) != same_class(row.name):
                words = f"id {row.id!r} is {row.name!r}, but {holder.name!r} in {holder.place.text()}"
                findings.append(Finding("class_id_differs", row.place, words, holder.place))
    return findings + _one_sided(splits)


def _one_sided(splits: Sequence[Split]) -> list[Finding]:
    named = [{same_class(row.name) for row in split.categories} for split in splits]
    findings = []
    for split, own in zip(splits, named, strict=True):
        for row in split.categories:
            lacking = [s.name for s, names in zip(splits, named, strict=True) if same_class(row.name) not in names]
            if row.name.strip() and lacking and same_class(row.name) in own:
                words = f"{row.name!r} is not among the categories of {', '.join(lacking)}"
                findings.append(Finding("class_in_one_split", row.place, words))
    return findings
