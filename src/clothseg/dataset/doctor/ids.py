"""Ids and what they refer to, within one file."""

from collections.abc import Sequence

from clothseg.dataset.doctor.findings import Finding
from clothseg.dataset.doctor.rows import AnnotationRow, CategoryRow, Id, ImageRow, Split


def check_ids(split: Split) -> list[Finding]:
    """Ids given twice or below 1, and annotations of photos or classes that are not there."""
    findings: list[Finding] = []
    for rows in (split.categories, split.images, split.annotations):
        findings += _twice(rows)
        findings += _below_one(rows)
    return findings + _references(split)


def ambiguous_ids(rows: Sequence[CategoryRow] | Sequence[ImageRow]) -> set[Id]:
    """Ids that stand for two different classes or photos."""
    meant: dict[Id, str] = {}
    answer = set()
    for row in rows:
        name = row.name if isinstance(row, CategoryRow) else row.file_name
        if row.id is not None and meant.setdefault(row.id, name) != name:
            answer.add(row.id)
    return answer


def _twice(rows: Sequence[CategoryRow] | Sequence[ImageRow] | Sequence[AnnotationRow]) -> list[Finding]:
    first: dict[Id, CategoryRow | ImageRow | AnnotationRow] = {}
    findings = []
    for row in rows:
        if row.id is None:
            continue
        earlier = first.setdefault(row.id, row)
        if earlier is not row:
            words = f"id {row.id!r} stands at {row.place.section}[{earlier.place.row}] already"
            findings.append(Finding("duplicate_id", row.place, words, earlier.place))
    return findings


def _below_one(rows: Sequence[CategoryRow] | Sequence[ImageRow] | Sequence[AnnotationRow]) -> list[Finding]:
    findings = []
    for row in rows:
        if isinstance(row.id, int) and row.id < 1:
            if isinstance(row, CategoryRow):
                words = f"category {row.name!r} has id {row.id}"
                findings.append(Finding("category_below_one", row.place, words))
            else:
                findings.append(Finding("id_below_one", row.place, f"id is {row.id}"))
    return findings


def _references(split: Split) -> list[Finding]:
    findings = []
    images = {row.id for row in split.images}
    categories = {row.id for row in split.categories}
    for row in split.annotations:
        if row.image_id is not None and row.image_id not in images:
            words = f"image_id {row.image_id!r} is not among the {len(split.images)} images"
            findings.append(Finding("unknown_image", row.place, words))
        if row.category_id is not None and row.category_id not in categories:
            known = ", ".join(repr(c.id) for c in split.categories[:8]) or "none"
            words = f"category_id {row.category_id!r} is not among the categories ({known})"
            findings.append(Finding("unknown_category", row.place, words))
    return findings
