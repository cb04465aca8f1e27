"""Checks ids within one file. What the reader refuses is reported already."""

from collections.abc import Sequence

from clothseg.dataset.doctor.findings import Finding
from clothseg.dataset.doctor.rows import CategoryRow, Id, ImageRow, Split


def check_ids(split: Split) -> list[Finding]:
    """Finds ids of photos and annotations below 1."""
    return [
        Finding("id_below_one", row.location, f"id is {row.id}")
        for rows in (split.images, split.annotations)
        for row in rows
        if isinstance(row.id, int) and row.id < 1
    ]


def ambiguous_ids(rows: Sequence[CategoryRow] | Sequence[ImageRow]) -> set[Id]:
    """Ids that two different classes or photos have."""
    names: dict[Id, str] = {}
    answer = set()
    for row in rows:
        name = row.name if isinstance(row, CategoryRow) else row.file_name
        if row.id is not None and names.setdefault(row.id, name) != name:
            answer.add(row.id)
    return answer
