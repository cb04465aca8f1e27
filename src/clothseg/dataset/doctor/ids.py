"""Checks ids and references within one file."""

from collections.abc import Sequence

from clothseg.dataset.doctor.findings import Finding
from clothseg.dataset.doctor.rows import AnnotationRow, CategoryRow, Id, ImageRow, Split


def check_ids(split: Split) -> list[Finding]:
    """Finds ids that occur twice or are below 1, and annotations whose photo or class does not exist."""
    findings: list[Finding] = []
    for rows in (split.categories, split.images, split.annotations):
        findings += _duplicates(rows)
        findings += _below_one(rows)
    return findings + _references(split)


def ambiguous_ids(rows: Sequence[CategoryRow] | Sequence[ImageRow]) -> set[Id]:
    """Ids that two different classes or photos have."""
    names: dict[Id, str] = {}
    answer = set()
    for row in rows:
        name = row.name if isinstance(row, CategoryRow) else row.file_name
        if row.id is not None and names.setdefault(row.id, name) != name:
            answer.add(row.id)
    return answer


def _duplicates(rows: Sequence[CategoryRow] | Sequence[ImageRow] | Sequence[AnnotationRow]) -> list[Finding]:
    first: dict[Id, CategoryRow | ImageRow | AnnotationRow] = {}
    findings = []
    for row in rows:
        if row.id is None:
            continue
        earlier = first.setdefault(row.id, row)
        if earlier is not row:
            message = f"id {row.id!r} is also the id of {row.location.section}[{earlier.location.row}]"
            findings.append(Finding("duplicate_id", row.location, message, earlier.location))
    return findings


def _below_one(rows: Sequence[CategoryRow] | Sequence[ImageRow] | Sequence[AnnotationRow]) -> list[Finding]:
    findings = []
    for row in rows:
        if isinstance(row.id, int) and row.id < 1:
            if isinstance(row, CategoryRow):
                message = f"category {row.name!r} has id {row.id}"
                findings.append(Finding("category_below_one", row.location, message))
            else:
                findings.append(Finding("id_below_one", row.location, f"id is {row.id}"))
    return findings


def _references(split: Split) -> list[Finding]:
    findings = []
    images = {row.id for row in split.images}
    categories = {row.id for row in split.categories}
    for row in split.annotations:
        if row.image_id is not None and row.image_id not in images:
            message = f"image_id {row.image_id!r} is not the id of any of the {len(split.images)} images"
            findings.append(Finding("unknown_image", row.location, message))
        if row.category_id is not None and row.category_id not in categories:
            known = ", ".join(repr(c.id) for c in split.categories[:8]) or "none"
            message = f"category_id {row.category_id!r} is not the id of any category (ids: {known})"
            findings.append(Finding("unknown_category", row.location, message))
    return findings
