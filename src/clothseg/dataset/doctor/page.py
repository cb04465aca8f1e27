"""The doctor's page: one HTML file with all findings, explanations, and pictures of the worst."""

from pathlib import Path
from typing import Any

from clothseg.dataset.doctor.examine import Diagnosis
from clothseg.dataset.doctor.findings import KINDS, Severity
from clothseg.dataset.doctor.pictures import worst_findings
from clothseg.files import atomic_write
from clothseg.pictures.embed import webp_uri
from clothseg.pictures.html import render_page

_LISTED = 100  # findings of each kind on the page; --json lists all


def write_page(diagnosis: Diagnosis, path: Path) -> None:
    """Writes the page to `path`. It has no scripts and no external links."""
    atomic_write(path, render_page("dataset/doctor", "page.html.jinja", _values(diagnosis)))


def _values(diagnosis: Diagnosis) -> dict[str, Any]:
    errors, warnings = diagnosis.count(Severity.ERROR), diagnosis.count(Severity.WARNING)
    return {
        "splits": diagnosis.splits,
        "photos": sum(len(s.images) for s in diagnosis.splits),
        "annotations": sum(len(s.annotations) for s in diagnosis.splits),
        "errors": errors,
        "warnings": warnings,
        "kinds": KINDS,
        "found": diagnosis.by_kind(),
        "listed": _LISTED,
        "pictures": [
            {
                "finding": shown.finding,
                "source": webp_uri(shown.picture),
                "height": shown.picture.shape[0],
                "width": shown.picture.shape[1],
            }
            for shown in worst_findings(diagnosis)
        ],
    }
