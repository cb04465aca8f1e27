"""Reads COCO files for the doctor: what the reader corrects, leaves out or refuses becomes a finding."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from clothseg.dataset.doctor.findings import Finding, Location, short_names
from clothseg.dataset.doctor.rows import AnnotationRow, CategoryRow, ImageRow, Split
from clothseg.dataset.reading import PhotoFiles, SplitFiles, choose_split, find_layout, load_tree, not_coco, read_rows
from clothseg.dataset.reading.issues import RULES, Action, Section
from clothseg.dataset.reading.layout import unique_names
from clothseg.dataset.reading.rows import CocoRows
from clothseg.dataset.reading.values import read_id
from clothseg.errors import DataError


def find_files(
    inputs: Iterable[Path], photo_folders: Sequence[Path] = (), split: str | None = None
) -> list[SplitFiles]:
    """Finds the COCO files of the inputs, which are files or folders in any layout that `find_layout` knows.

    Args:
        inputs: files and folders.
        photo_folders: folders with photos; by default the usual folders near each file.
        split: only this split of each; by default all.

    Raises:
        DataError: an input does not exist, or a folder has no COCO file or no such split.
    """
    layouts = [find_layout(given, photo_folders) for given in inputs]
    found = [files for layout in layouts for files in ([choose_split(layout, split)] if split else layout.splits)]
    files = {one.annotations: one for one in found}
    names = [one.name for one in files.values()]
    if len(set(names)) < len(names):
        names = unique_names(list(files))
    return [SplitFiles(name, s.annotations, s.photos) for name, s in zip(names, files.values(), strict=True)]


def read_splits(files: Sequence[SplitFiles]) -> tuple[list[Split], list[Finding]]:
    """Reads COCO files and checks their form.

    Returns:
        The splits and the findings.

    Raises:
        DataError: a file cannot be read as JSON, or none is a COCO file.
    """
    splits, findings = [], []
    short = short_names([given.annotations for given in files])
    for given in files:
        tree, place = load_tree(given.annotations), Location(str(given.annotations), short=short[given.annotations])
        if reason := not_coco(tree):
            findings.append(Finding("not_coco", place, reason))
            continue
        rows = read_rows(tree, given.annotations, PhotoFiles(given.photos), name=given.name)
        split, found = _with_locations(rows, given.annotations, place)
        splits.append(split)
        findings += found
    if not splits:
        raise DataError("; ".join(f"{finding.location.file}: {finding.message}" for finding in findings))
    return splits, findings


def _with_locations(rows: CocoRows, file: Path, whole: Location) -> tuple[Split, list[Finding]]:
    """The rows with their locations, and the reader's findings."""
    place = _Locations(rows, whole)
    split = Split(
        rows.name,
        file,
        rows.tree,
        rows.log,
        [CategoryRow(r.row, r.id, r.name, r.raw, place.of("categories", r.row)) for r in rows.categories],
        [ImageRow(r.row, r.id, r.file_name, r.size, r.path, r.raw, place.of("images", r.row)) for r in rows.images],
        [
            AnnotationRow(r.row, r.id, r.image_id, r.category_id, r.raw, place.of("annotations", r.row))
            for r in rows.annotations
        ],
        whole,
    )
    findings = [
        Finding(
            issue.kind,
            place.of(issue.section, issue.row),
            issue.message,
            None if issue.other is None else place.of(issue.section, issue.other),
        )
        for issue in rows.log.issues
        if RULES[issue.kind].action != Action.NOTED  # these can be most rows; `box_only` counts them by file
    ]
    for kind, empty in (("no_photos", not split.images), ("no_annotations", not split.annotations)):
        if empty:
            findings.append(Finding(kind, whole, f"the file has no {kind.removeprefix('no_')}"))
    return split, findings


class _Locations:
    """Makes the locations of rows: ids as they are in the file, and the name of the photo."""

    def __init__(self, rows: CocoRows, whole: Location) -> None:
        self.whole, self.tree = whole, rows.tree
        self.names = {number: image.file_name for number, image in rows.images_by_id.items()}

    def of(self, section: Section, row: int | None) -> Location:
        raw: Any = self.tree[section][row] if section and row is not None else None
        if not isinstance(raw, dict) or section == "categories":
            return replace(self.whole, section=section, row=row)
        if section == "images":
            name = raw.get("file_name")
            photo = name if isinstance(name, str) else ""
            return replace(self.whole, section=section, row=row, image_id=raw.get("id"), photo=photo)
        number = read_id(raw.get("image_id"))
        name = self.names.get(number, "") if number is not None else ""
        ids = (raw.get("image_id"), raw.get("id"))
        return Location(self.whole.file, section, row, *ids, name, self.whole.short)
