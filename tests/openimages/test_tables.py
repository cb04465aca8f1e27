"""Rows of masks, boxes and photos, with the traps of the published files."""

from pathlib import Path
from typing import Any

import pytest

from clothseg.errors import DataError
from clothseg.openimages import parse_partitions, read_boxes, read_credits, read_masks, read_photos_without

SUIT = "/m/01xyhv"
HEADER = "MaskPath,ImageID,LabelName,BoxID,BoxXMin,BoxXMax,BoxYMin,BoxYMax,PredictedIoU,Clicks"
IMAGE = "12345678e9012345"
ROW = f"{IMAGE}_m01xyhv_1234e567.png,{IMAGE},{SUIT},1234e567,0.1,0.5,0.2,0.6,0.9,0.1 0.2 1;0.3 0.4 0"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_ids_stay_text_and_the_box_is_in_corner_order(tmp_path: Path, end: str, write_table: Any) -> None:
    digits = ROW.replace(IMAGE, "0" * 15 + "7").replace("1234e567", "00000123")
    rows = list(read_masks(write_table(tmp_path / "m.csv", HEADER, ROW, digits, end=end), [SUIT]))
    assert [(r.image_id, r.box_id) for r in rows] == [("0000000000000007", "00000123"), (IMAGE, "1234e567")]
    assert rows[0].box == (0.1, 0.2, 0.5, 0.6)
    assert rows[1].mask_path == f"{IMAGE}_m01xyhv_1234e567.png"


def test_rows_are_filtered_and_sorted(tmp_path: Path, write_table: Any) -> None:
    rows = [ROW.replace(IMAGE, d * 16).replace("1234e567", f"0000000{d}") for d in "f3a1"]
    other = ROW.replace(SUIT, "/m/01s55n")
    path = write_table(tmp_path / "m.csv", HEADER, other, *rows)
    assert [r.image_id[0] for r in read_masks(path, [SUIT])] == ["1", "3", "a", "f"]
    assert [r.image_id[0] for r in read_masks(path, [SUIT], frozenset("fa"))] == ["a", "f"]


def test_boxes_of_v4_and_v6_headers(tmp_path: Path, write_table: Any) -> None:
    header = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction"
    row = f"{IMAGE},activemil,{SUIT},1,0.1,0.5,0.2,0.6,-1,-1,%s,-1"
    path = write_table(tmp_path / "b.csv", header + ",IsInside,XClick1X", row % "1" + ",0,.5", row % "-1" + ",0,.5")
    second, first = read_boxes(path, [SUIT])  # ordered by flags where all else is the same
    assert first.box == (0.1, 0.2, 0.5, 0.6)
    assert (first.is_group, second.is_group) == (True, False)
    assert first.flags == (-1, -1, 1, -1, 0)


def test_titles_with_commas_quotes_line_breaks_and_broken_bytes(tmp_path: Path) -> None:
    header = "ImageID,Subset,OriginalURL,OriginalLandingURL,License,AuthorProfileURL,Author,Title"
    lines = f'{header}\n{IMAGE},train,u,page,l,p,"Ann, ""A"" B","one\ntwo, three"\n{"2" * 16},train,u,,l,p,Jos\xe9,t\n'
    (tmp_path / "l.csv").write_bytes(lines.encode("latin-1"))
    credit = read_credits(tmp_path / "l.csv", [IMAGE, "2" * 16, "3" * 16])
    assert credit[IMAGE].author == 'Ann, "A" B'
    assert credit[IMAGE].source_url == "page"
    assert credit["2" * 16].source_url == "u"
    assert credit["2" * 16].author.startswith("Jos")
    assert len(credit) == 2


def test_a_photo_shows_no_class_if_people_looked_for_each(tmp_path: Path, write_table: Any) -> None:
    dress, suitcase = "/m/01d40f", "/m/01s55n"
    rows = {
        "1": [(SUIT, "0"), (dress, "0")],
        "2": [(SUIT, "0")],  # nobody looked for a Dress
        "3": [(SUIT, "0"), (dress, "1")],
        "4": [(SUIT, "0"), (SUIT, "1"), (dress, "0")],  # two people disagreed
        "5": [(SUIT, "0"), (SUIT, "0"), (dress, "0.0"), (suitcase, "1")],
        "6": [(SUIT, "0"), (dress, "no")],
    }
    lines = [f"{digit * 16},verification,{mid},{value}" for digit, of in rows.items() for mid, value in of]
    path = write_table(tmp_path / "train-labels.csv", "ImageID,Source,LabelName,Confidence", *lines)
    without, broken = read_photos_without(path, [SUIT, dress])
    assert without == {"1" * 16, "5" * 16}
    assert [str(row) for row in broken] == ["train-labels.csv: row 15: Confidence is 'no', but should be a number"]
    assert read_photos_without(path, [dress], frozenset("45"))[0] == {"4" * 16, "5" * 16}


def test_partitions() -> None:
    assert parse_partitions(None) is None
    assert parse_partitions("F") == frozenset("f")
    assert parse_partitions("8-b, 01") == frozenset("89ab01")
    for wrong in ("", "g", "f-0", "0-", "0--3", "f,,e"):
        with pytest.raises(DataError, match="partitions"):
            parse_partitions(wrong)
