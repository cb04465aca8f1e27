"""Runs every check, in one pass over the photos."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from clothseg.cores import usable_cores
from clothseg.dataset.doctor.balance import MIN_INSTANCES, check_balance
from clothseg.dataset.doctor.boxes import check_box, check_duplicate_boxes
from clothseg.dataset.doctor.findings import KINDS, Finding, Severity
from clothseg.dataset.doctor.ids import check_ids
from clothseg.dataset.doctor.masks import check_duplicates, check_mask
from clothseg.dataset.doctor.photos import ImageStats, check_name, check_photo, image_stats
from clothseg.dataset.doctor.reading import find_files, read_splits
from clothseg.dataset.doctor.rows import AnnotationRow, Id, ImageRow, Split
from clothseg.dataset.doctor.splits import check_classes, check_duplicate_photos
from clothseg.instances import Rle
from clothseg.progress import ProgressBar, no_progress

_PREFETCH = 64  # photos whose results may wait


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """All findings: errors first, then in the order of `KINDS`, file and row."""

    splits: tuple[Split, ...]
    findings: tuple[Finding, ...]

    def __repr__(self) -> str:
        """For example `Diagnosis(2 files, 125 photos, 3 errors, 12 warnings)`."""
        photos = sum(len(split.images) for split in self.splits)
        counts = f"{self.count(Severity.ERROR)} errors, {self.count(Severity.WARNING)} warnings"
        return f"Diagnosis({len(self.splits)} files, {photos} photos, {counts})"

    def count(self, severity: Severity) -> int:
        """The number of findings of a severity."""
        return sum(f.severity == severity for f in self.findings)

    def by_kind(self) -> dict[str, list[Finding]]:
        """The findings by kind, errors first."""
        answer: dict[str, list[Finding]] = defaultdict(list)
        for finding in self.findings:
            answer[finding.kind].append(finding)
        return dict(answer)

    def as_dict(self) -> dict[str, Any]:
        """All files, counts and findings, for JSON."""
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
    split: str | None = None,
    min_instances: int = MIN_INSTANCES,
    progress: ProgressBar = no_progress,
) -> Diagnosis:
    """Checks any COCO dataset.

    Args:
        inputs: the folder of a dataset or of an export, or COCO files, one for each split.
        photo_folders: folders with photos. Default: the usual folders near each file.
        split: only this split of each; by default all.
        min_instances: classes with fewer instances give a warning.
        progress: wraps the photos, for a progress bar.

    Raises:
        DataError: an input does not exist or is not JSON, or none is a COCO file. All other faults are findings.
    """
    splits, findings = read_splits(find_files(inputs, photo_folders, split))
    for part in splits:
        findings += check_ids(part)
        findings += [finding for image in part.images for finding in check_name(image)]
    stats: dict[Path, ImageStats] = {}
    photos = _PhotoList(splits)
    for path, stat in _read_all(photos.paths, progress):
        stats[path] = stat
        for part, image in photos.images[path]:
            findings += check_photo(image, stat)
            findings += _check_annotations(photos.annotations[part.name, image.id], image)
    findings += photos.check_without_path()
    findings += check_duplicate_photos(splits, stats) + check_classes(splits) + check_balance(splits, min_instances)
    order = {kind: number for number, kind in enumerate(KINDS)}
    findings.sort(key=lambda f: (-f.severity, order[f.kind], f.location.file, f.location.row or 0))
    return Diagnosis(tuple(splits), tuple(findings))


class _PhotoList:
    """The photos to read, each once, with the image rows that refer to them and their annotations."""

    def __init__(self, splits: Sequence[Split]) -> None:
        self.images: dict[Path, list[tuple[Split, ImageRow]]] = defaultdict(list)
        self.annotations: dict[tuple[str, Id | None], list[AnnotationRow]] = defaultdict(list)
        self.without_path: list[tuple[Split, ImageRow]] = []
        for split in splits:
            first = split.images_by_id
            for image in split.images:
                if image.path is None:
                    self.without_path.append((split, image))
                else:
                    self.images[image.path].append((split, image))
            for row in split.annotations:
                if row.image_id in first:
                    self.annotations[split.name, row.image_id].append(row)
        self.paths = list(self.images)

    def check_without_path(self) -> list[Finding]:
        """Checks the masks of images without a file name."""
        return [
            finding
            for split, image in self.without_path
            for finding in _check_annotations(self.annotations[split.name, image.id], image)
        ]


def _check_annotations(rows: list[AnnotationRow], image: ImageRow) -> list[Finding]:
    """Checks masks and boxes on one photo. Empties `rows`, so if two images share an id, only the first is checked."""
    if image.size is None:
        return []
    findings: list[Finding] = []
    masks: list[tuple[AnnotationRow, Rle]] = []
    for row in rows:
        rle, wrong = check_mask(row, image.size)
        findings += wrong + check_box(row, image.size, rle)
        if rle is not None:
            masks.append((row, rle))
    findings += check_duplicates(masks) + check_duplicate_boxes(rows, masks)
    rows.clear()
    return findings


def _read_all(paths: Sequence[Path], progress: ProgressBar) -> Iterator[tuple[Path, ImageStats]]:
    """Reads photos on all cores and yields them in order. Few results wait at a time, so memory stays small."""
    with ThreadPoolExecutor(usable_cores()) as pool:
        remaining = iter(paths)
        waiting = [pool.submit(image_stats, path) for path in islice(remaining, _PREFETCH)]
        for path in progress(paths, len(paths), "checking photos"):
            yield path, waiting.pop(0).result()
            waiting += [pool.submit(image_stats, later) for later in islice(remaining, 1)]
