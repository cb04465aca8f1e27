"""The doctor's page: one HTML file with all findings, explanations, and a gallery of those that a photo shows."""

from pathlib import Path
from typing import Any

from clothseg.dataset.doctor.examine import Diagnosis
from clothseg.dataset.doctor.findings import KINDS, Severity
from clothseg.dataset.doctor.gallery import MOST, findings_gallery
from clothseg.dataset.doctor.pictures import worst_findings
from clothseg.files import atomic_write
from clothseg.gallery import page_parts
from clothseg.pictures.html import render_page

_LISTED = 100  # findings of each kind on the page; --json lists all


def write_page(diagnosis: Diagnosis, path: Path) -> None:
    """Writes the page to `path`.

    The worst findings have their pictures in the page; the others show the photos from where they are.
    """
    atomic_write(path, render_page("dataset/doctor", "page.html.jinja", _values(diagnosis, path.parent)))


def _values(diagnosis: Diagnosis, folder: Path) -> dict[str, Any]:
    errors, warnings = diagnosis.count(Severity.ERROR), diagnosis.count(Severity.WARNING)
    info, rows = findings_gallery(diagnosis, worst_findings(diagnosis), folder)
    return {
        "splits": diagnosis.splits,
        "photos": sum(len(s.images) for s in diagnosis.splits),
        "annotations": sum(len(s.annotations) for s in diagnosis.splits),
        "errors": errors,
        "warnings": warnings,
        "kinds": KINDS,
        "found": diagnosis.by_kind(),
        "listed": _LISTED,
        "shown": len(rows),
        "most": MOST,
        "parts": page_parts(info, rows),
    }
