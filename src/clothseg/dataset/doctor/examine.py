"""The examination: every check, in one pass over the photos."""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from clothseg.dataset.doctor.balance import MIN_INSTANCES, check_balance
from clothseg.dataset.doctor.boxes import check_box
from clothseg.dataset.doctor.findings import KINDS, Finding, Severity
from clothseg.dataset.doctor.ids import check_ids
from clothseg.dataset.doctor.masks import check_mask, check_twice
from clothseg.dataset.doctor.photos import ImageStats, check_photo, look_at
from clothseg.dataset.doctor.reading import find_files, read_splits
from clothseg.dataset.doctor.rows import AnnotationRow, Id, ImageRow, Split
from clothseg.dataset.doctor.splits import check_classes, check_datasets
from clothseg.instances import Rle

Progress = Callable[[Sequence[Path], str], Iterable[Path]]
_AHEAD = 64  # photos that may wait decoded


@dataclass(frozen=True)
class Diagnosis:
    """What the doctor found: errors first, then in the order of `KINDS`, file and row."""

    splits: tuple[Split, ...]
    findings: tuple[Finding, ...]

    def count(self, severity: Severity) -> int:
        """Findings of that severity."""
        return sum(f.severity == severity for f in self.findings)

    def by_kind(self) -> dict[str, list[Finding]]:
        """Findings of each kind that occurs, errors first."""
        answer: dict[str, list[Finding]] = defaultdict(list)
        for finding in self.findings:
            answer[finding.kind].append(finding)
        return dict(answer)

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "files": [
                {"file": str(s.file), "name": s.name, "images": len(s.images), "annotations": len(s.annotations)}
                for s in self.splits
            ],
            "errors": self.count(Severity.ERROR),
            "warnings": self.count(Severity.WARNING),
            "counts": dict(Counter(f.kind for f in self.findings)),
            "findings": [f.as_dict() for f in self.findings],
        }


def examine(
    inputs: Sequence[Path],
    photo_folders: Sequence[Path] = (),
    *,
    min_instances: int = MIN_INSTANCES,
    progress: Progress = lambda photos, _: photos,
) -> Diagnosis:
    """Check a COCO data set, ours or anybody's.

    Args:
        inputs: a data set's folder, or COCO files, one for each split.
        photo_folders: where photos are; without any, the usual places around each file.
        min_instances: a class with fewer is told.
        progress: wraps the photos and gets a word on what is done with them.

    Raises:
        DataError: an input does not exist, is not JSON, or none is a COCO file. All other faults are findings.
    """
    splits, findings = read_splits(find_files(inputs), photo_folders)
    for split in splits:
        findings += check_ids(split)
    looks: dict[Path, ImageStats] = {}
    wanted = _Wanted(splits)
    for path, look in _look_at_all(wanted.paths, progress):
        looks[path] = look
        for split, image in wanted.images[path]:
            findings += check_photo(image, look)
            findings += _check_annotations(wanted.annotations[split.name, image.id], image)
    findings += wanted.homeless()
    findings += check_datasets(splits, looks) + check_classes(splits) + check_balance(splits, min_instances)
    order = {kind: number for number, kind in enumerate(KINDS)}
    findings.sort(key=lambda f: (-f.severity, order[f.kind], f.place.file, f.place.row or 0))
    return Diagnosis(tuple(splits), tuple(findings))


class _Wanted:
    """Photos to be opened, each once, with the images that mean them and their annotations."""

    def __init__(self, splits: Sequence[Split]) -> None:
        self.images: dict[Path, list[tuple[Split, ImageRow]]] = defaultdict(list)
        self.annotations: dict[tuple[str, Id | None], list[AnnotationRow]] = defaultdict(list)
        self.without: list[tuple[Split, ImageRow]] = []
        for split in splits:
            first = split.images_by_id()
            for image in split.images:
                if image.path is None:
                    self.without.append((split, image))
                else:
                    self.images[image.path].append((split, image))
            for row in split.annotations:
                if row.image_id in first:
                    self.annotations[split.name, row.image_id].append(row)
        self.paths = list(self.images)

    def homeless(self) -> list[Finding]:
        """Annotations of images without a file name: masks are checked all the same."""
        return [
            finding
            for split, image in self.without
            for finding in _check_annotations(self.annotations[split.name, image.id], image)
        ]


def _check_annotations(rows: list[AnnotationRow], image: ImageRow) -> list[Finding]:
    """Masks and boxes on one photo. `rows` is emptied: an id that two images share is checked on the first alone."""
    if image.size is None:
        return []
    findings: list[Finding] = []
    masks: list[tuple[AnnotationRow, Rle]] = []
    for row in rows:
        rle, wrong = check_mask(row, image.size)
        findings += wrong + check_box(row, image.size, rle)
        if rle is not None:
            masks.append((row, rle))
    rows.clear()
    return findings + check_twice(masks)


def _look_at_all(paths: Sequence[Path], progress: Progress) -> Iterator[tuple[Path, ImageStats]]:
    """Photos opened by all cores, in order; only a few wait at a time, whatever the size of the data set."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        coming = iter(paths)
        waiting = [pool.submit(look_at, path) for path in islice(coming, _AHEAD)]
        for path in progress(paths, "Examining photos"):
            yield path, waiting.pop(0).result()
            waiting += [pool.submit(look_at, later) for later in islice(coming, 1)]
