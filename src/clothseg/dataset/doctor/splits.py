"""Compares several files: photos that are in two of them, and classes that do not agree."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clothseg.dataset.doctor.findings import Finding
from clothseg.dataset.doctor.photos import ImageStats
from clothseg.dataset.doctor.rows import CategoryRow, Id, ImageRow, Split
from clothseg.instances.class_names import class_name_key

# Measured on 640 different street photos: no pair fulfils both conditions. Nearly all copies do that are resized,
# recompressed, a third brighter, cropped by 2 % at each edge, or turned by 2 degrees.
_MAX_BITS = 12
_MIN_CORRELATION = 0.9
_BATCH = 4096
_CHUNK = 512  # photos compared with the other split at once; 512 x 100,000 distances need less than 100 MB


def check_duplicate_photos(splits: Sequence[Split], stats: Mapping[Path, ImageStats]) -> list[Finding]:
    """Finds photos that are twice in one split, and the same or similar photos in two splits."""
    findings = []
    for split in splits:
        findings += _within(split, stats)
    for one, two in combinations(splits, 2):
        # Names the photo of the larger split: removing it from a small validation split would cost more.
        larger, smaller = (one, two) if len(one.images) >= len(two.images) else (two, one)
        findings += _between(larger, smaller, stats)
    return findings


def _readable(split: Split, stats: Mapping[Path, ImageStats]) -> list[tuple[ImageRow, ImageStats]]:
    pairs = [(row, stats[row.path]) for row in split.images if row.path is not None and row.path in stats]
    return [(row, stat) for row, stat in pairs if not stat.error]


def _within(split: Split, stats: Mapping[Path, ImageStats]) -> list[Finding]:
    first: dict[bytes, ImageRow] = {}
    findings = []
    for row, stat in _readable(split, stats):
        earlier = first.setdefault(stat.digest, row)
        if earlier is not row:
            message = f"same photo as image {earlier.id!r}, {earlier.file_name}"
            findings.append(Finding("duplicate_photo", row.location, message, earlier.location))
    return findings


def _between(larger: Split, smaller: Split, stats: Mapping[Path, ImageStats]) -> list[Finding]:
    left, right = _readable(larger, stats), _readable(smaller, stats)
    by_digest = {stat.digest: row for row, stat in right}
    findings = []
    for row, stat in left:
        if (other := by_digest.get(stat.digest)) is not None:
            message = f"same photo as image {other.id!r} of {smaller.name}, {other.file_name}"
            findings.append(Finding("photo_in_two_splits", row.location, message, other.location))
    for one, two, bits, correlation in similar([stat for _, stat in left], [stat for _, stat in right]):
        if left[one][1].digest == right[two][1].digest:
            continue
        other = right[two][0]
        message = (
            f"similar to image {other.id!r} of {smaller.name}, {other.file_name}: {bits} of 64 hash bits differ, "
            f"correlation {correlation:.2f}"
        )
        findings.append(Finding("similar_photos", left[one][0].location, message, other.location))
    return findings


def similar(left: Sequence[ImageStats], right: Sequence[ImageStats]) -> Iterator[tuple[int, int, int, float]]:
    """For each photo of `left`, finds the most similar photo of `right`, if any is similar.

    Yields:
        The position in `left`, the position in `right`, the number of different hash bits, and the correlation of the
        grey thumbnails.
    """
    if not left or not right:
        return
    bits = [np.array([stat.bits for stat in side], dtype=np.uint64) for side in (left, right)]
    thumbs = [np.stack([_thumb(stat) for stat in side]) for side in (left, right)]
    for start in range(0, len(left), _CHUNK):
        distance = np.bitwise_count(bits[0][start : start + _CHUNK, None] ^ bits[1][None])
        pairs = np.argwhere(distance <= _MAX_BITS)
        correlation = _correlations(thumbs[0][start : start + _CHUNK], thumbs[1], pairs)
        alike = np.flatnonzero(correlation >= _MIN_CORRELATION)
        alike = alike[np.lexsort((-correlation[alike], pairs[alike, 0]))]
        _, first = np.unique(pairs[alike, 0], return_index=True)
        for one, two, value in zip(*pairs[alike[first]].T, correlation[alike[first]], strict=True):
            yield start + int(one), int(two), int(distance[one, two]), float(value)


def _correlations(
    left: NDArray[np.float32], right: NDArray[np.float32], pairs: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The correlations `[K]` of the rows in `pairs` `[K, 2]`, computed in batches."""
    batches = [pairs[start : start + _BATCH] for start in range(0, len(pairs), _BATCH)]
    found = [np.einsum("ij,ij->i", left[batch[:, 0]], right[batch[:, 1]]) for batch in batches]
    return np.concatenate(found) if found else np.zeros(0, dtype=np.float32)


def _thumb(stats: ImageStats) -> NDArray[np.float32]:
    if stats.thumb is None:
        raise ValueError("a photo that cannot be read has no thumbnail")
    return stats.thumb


def check_classes(splits: Sequence[Split]) -> list[Finding]:
    """Finds class names and ids that do not agree between files."""
    findings: list[Finding] = []
    spelling: dict[str, CategoryRow] = {}
    by_id: dict[Id, CategoryRow] = {}
    for split in splits:
        for row in split.categories:
            if not row.name.strip():
                continue
            first = spelling.setdefault(class_name_key(row.name), row)
            foreign = first.location.file != row.location.file  # the reader compares names within a file
            if foreign and first.name != row.name:
                message = f"the name is {row.name!r} here, but {first.name!r} in {first.location.text()}"
                findings.append(Finding("class_name_case", row.location, message, first.location))
            if foreign and row.id is not None and first.id is not None and first.id != row.id:
                message = f"{row.name!r} has id {row.id!r} here, but {first.id!r} in {first.location.text()}"
                findings.append(Finding("class_id_differs", row.location, message, first.location))
            if row.id is None:
                continue
            holder = by_id.setdefault(row.id, row)
            elsewhere = holder.location.file != row.location.file
            if elsewhere and class_name_key(holder.name) != class_name_key(row.name):
                message = f"id {row.id!r} is {row.name!r} here, but {holder.name!r} in {holder.location.text()}"
                findings.append(Finding("class_id_differs", row.location, message, holder.location))
    return findings + _one_sided(splits)


def _one_sided(splits: Sequence[Split]) -> list[Finding]:
    named = [{class_name_key(row.name) for row in split.categories} for split in splits]
    findings = []
    for split, own in zip(splits, named, strict=True):
        for row in split.categories:
            missing = [s.name for s, names in zip(splits, named, strict=True) if class_name_key(row.name) not in names]
            if row.name.strip() and missing and class_name_key(row.name) in own:
                message = f"{row.name!r} is not a category of {', '.join(missing)}"
                findings.append(Finding("class_in_one_split", row.location, message))
    return findings
