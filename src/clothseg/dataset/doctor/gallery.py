"""The findings as a gallery: each with its photo, box and outlines, as they are in the file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from clothseg.dataset.doctor.examine import Diagnosis
from clothseg.dataset.doctor.findings import KINDS, Finding
from clothseg.dataset.doctor.pictures import NOT_VISIBLE, FindingPicture, RowIndex, row_box, row_edges
from clothseg.dataset.doctor.rows import AnnotationRow
from clothseg.gallery import Entry, GalleryClass, GalleryInfo, GalleryObject, Link
from clothseg.gallery.data import Row, entry_row
from clothseg.gallery.entries import address, hex_colour
from clothseg.gallery.outlines import thin_out
from clothseg.pictures.embed import webp_uri

MOST = 200  # findings of each kind in the gallery


def findings_gallery(
    diagnosis: Diagnosis, pictures: Sequence[FindingPicture], page: Path
) -> tuple[GalleryInfo, list[Row]]:
    """What the gallery says, and its rows.

    Args:
        diagnosis: with the findings.
        pictures: of some of them; the page has these in itself.
        page: the folder of the page; photos are shown from where they are.
    """
    index = RowIndex(diagnosis)
    drawn = {id(shown.finding): shown for shown in pictures}
    kinds: list[str] = []
    rows: list[Row] = []
    for kind, findings in diagnosis.by_kind().items():
        if kind in NOT_VISIBLE:
            continue
        entries = (_entry(finding, index, drawn, page, len(kinds) + 1) for finding in findings[:MOST])
        if found := [entry_row(entry) for entry in entries if entry is not None]:
            kinds.append(kind)
            rows += found
    classes = [GalleryClass(kind, hex_colour(number)) for number, kind in enumerate(kinds, start=1)]
    things = ("annotation", "annotations", "finding", "findings")
    return GalleryInfo("clothseg dataset check", "", classes, scored=False, frames=True, things=things), rows


def _entry(
    finding: Finding, index: RowIndex, drawn: Mapping[int, FindingPicture], page: Path, number: int
) -> Entry | None:
    """A finding on its photo; None if it is on none. One on two photos has both, side by side, if they are drawn."""
    first, second = index.look_up(finding.location), index.look_up(finding.other)
    if first is None or (path := first[0].path) is None:
        return None
    image, rows = first
    picture = drawn.get(id(finding))
    size = image.size
    links = []
    if second is not None and second[0] is image:
        rows = [*rows, *second[1]]
    elif second is not None and second[0].path is not None:
        both = enumerate((path, second[0].path), start=1)
        links = [Link(f"Photo {n}: {one.name}", address(one, page)) for n, one in both]
        size = None if picture else size
    if size is None and picture is None:
        return None
    height, width = size or picture.picture.shape[:2]  # type: ignore[union-attr]
    whole = [GalleryObject(number, 1.0, 1.0, (0, 0, width, height))]
    objects = [found for row in rows if (found := _object(row, number, (height, width))) is not None] if size else []
    return Entry(
        name=Path(image.file_name).name or path.name,
        width=width,
        height=height,
        objects=objects or whole,
        photo=address(path, page) if size else "",
        drawn=webp_uri(picture.picture) if picture else "",
        links=links,
        text=f"{finding.location.text()}: {finding.message}. {KINDS[finding.kind].cure}",
    )


def _object(row: AnnotationRow, number: int, size: tuple[int, int]) -> GalleryObject | None:
    """The annotation as it is in the file; None if it has neither box nor outline."""
    outlines = [thin_out(edge.reshape(-1, 2), size[1], size[0]) for edge in row_edges(row)]
    box = row_box(row)
    if box is None and not outlines:
        return None
    if box is None:
        corners = np.concatenate(outlines)
        box = (*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist())
    x1, y1, x2, y2 = box
    share = max(x2 - x1, 0) * max(y2 - y1, 0) / (size[0] * size[1])
    return GalleryObject(number, 1.0, share, (x1, y1, x2 - x1, y2 - y1), outlines)
