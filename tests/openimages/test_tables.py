"""Tables of Open Images, with the traps that published files and their downloaders are known for."""

from pathlib import Path

import pytest

from clothseg import sample
from clothseg.errors import DataError
from clothseg.openimages import choose_classes, parse_partitions, read_boxes, read_classes, read_credits, read_masks
from clothseg.openimages.scan import Columns, scan

SUIT = "/m/01xyhv"
HEADER = "MaskPath,ImageID,LabelName,BoxID,BoxXMin,BoxXMax,BoxYMin,BoxYMax,PredictedIoU,Clicks"
IMAGE = "12345678e9012345"
ROW = f"{IMAGE}_m01xyhv_1234e567.png,{IMAGE},{SUIT},1234e567,0.1,0.5,0.2,0.6,0.9,0.1 0.2 1;0.3 0.4 0"


def table(path: Path, *lines: str, end: str = "\n") -> Path:
    path.write_bytes(end.join([*lines, ""]).encode())
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_ids_stay_text_and_the_box_is_in_corner_order(tmp_path: Path, end: str) -> None:
    digits = ROW.replace(IMAGE, "0" * 15 + "7").replace("1234e567", "00000123")
    rows = list(read_masks(table(tmp_path / "m.csv", HEADER, ROW, digits, end=end), [SUIT]))
    assert [(r.image_id, r.box_id) for r in rows] == [("0000000000000007", "00000123"), (IMAGE, "1234e567")]
    assert rows[0].box == (0.1, 0.2, 0.5, 0.6)
    assert rows[1].mask_path == f"{IMAGE}_m01xyhv_1234e567.png"


def test_rows_are_filtered_and_ordered_whatever_their_order(tmp_path: Path) -> None:
    rows = [ROW.replace(IMAGE, d * 16).replace("1234e567", f"0000000{d}") for d in "f3a1"]
    other = ROW.replace(SUIT, "/m/01s55n")
    path = table(tmp_path / "m.csv", HEADER, other, *rows)
    assert [r.image_id[0] for r in read_masks(path, [SUIT])] == ["1", "3", "a", "f"]
    assert [r.image_id[0] for r in read_masks(path, [SUIT], frozenset("fa"))] == ["a", "f"]


@pytest.mark.parametrize(
    ("spoilt", "told", "image"),
    [
        (ROW.replace(f",{IMAGE},", ",1.2345678e+15,"), "ImageID is '1.2345678e", ""),
        (ROW.replace(",1234e567,", ",1.234e570,"), "BoxID is", IMAGE),
        (ROW.replace(",0.6,", ",nan,"), "BoxYMax is 'nan', but should be a number", IMAGE),
        (ROW.replace(",0.1,", ",left,"), "BoxXMin is 'left'", IMAGE),
        (ROW.replace(",0.1,", ",,"), "BoxXMin is missing", IMAGE),
        (f"{IMAGE}_m01xyhv_1234e567.png,{IMAGE}", "the row has 2 cells, the header 10", IMAGE),
        (ROW.replace(f",{SUIT},", ",Suit,"), "LabelName is 'Suit'", IMAGE),
        (ROW + ",one,two,too,many", "the row has 14 cells", IMAGE),
    ],
)
@pytest.mark.parametrize("partitions", [None, frozenset("1")])
def test_a_broken_row_is_named_and_the_others_are_read(
    tmp_path: Path, spoilt: str, told: str, image: str, partitions: frozenset[str] | None
) -> None:
    path = table(tmp_path / "masks.csv", HEADER, ROW, ROW, spoilt, ROW)
    rows = read_masks(path, [SUIT], partitions)
    assert len(rows) == 3
    (broken,) = rows.broken
    assert (broken.file, broken.row, broken.image_id) == ("masks.csv", 4, image)
    assert told in str(broken)
    (also,) = read_masks(path, None).broken
    assert also.row == 4


def test_blank_lines_quotes_a_byte_order_mark_and_no_last_line_end(tmp_path: Path) -> None:
    quoted = ",".join(f'"{cell}"' for cell in ROW.split(","))
    (tmp_path / "m.csv").write_bytes(f"\ufeff{HEADER}\r\n{ROW}\r\n\r\n{quoted}\r\n{ROW[:-1]}".encode())
    rows = read_masks(tmp_path / "m.csv", [SUIT])
    assert len(rows) == 3
    assert rows.broken == []
    assert len(set(rows)) == 1


def test_rows_across_two_blocks(tmp_path: Path) -> None:
    rows = [ROW.replace("1234e567", f"{n:08x}") for n in range(50)]
    rows[30] = rows[30].replace(",0.1,", ",x,")
    columns = Columns(ids=("ImageID", "BoxID", "LabelName"), numbers=("BoxXMin",))
    frame, broken = scan(table(tmp_path / "m.csv", HEADER, *rows), columns, [SUIT], None, block_bytes=200)
    assert frame["BoxID"].to_list() == [f"{n:08x}" for n in range(50) if n != 30]
    assert [b.row for b in broken] == [32]


def test_the_wrong_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"more than 10000 rows are broken, the first: row 2.*right table"):
        read_masks(table(tmp_path / "m.csv", HEADER, *["a,b"] * 10_001), [SUIT])


def test_a_missing_column_and_an_empty_table_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no column BoxID"):
        read_masks(table(tmp_path / "m.csv", HEADER.replace("BoxID,", ""), ROW), [SUIT])
    (tmp_path / "e.csv").touch()
    with pytest.raises(DataError, match=r"e\.csv: the table is empty"):
        read_masks(tmp_path / "e.csv", [SUIT])
    assert list(read_masks(table(tmp_path / "h.csv", HEADER), [SUIT])) == []
    assert read_masks(tmp_path / "h.csv", [SUIT]).of(IMAGE) == []


def test_boxes_of_v4_and_v6_headers(tmp_path: Path) -> None:
    header = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction"
    row = f"{IMAGE},activemil,{SUIT},1,0.1,0.5,0.2,0.6,-1,-1,%s,-1"
    path = table(tmp_path / "b.csv", header + ",IsInside,XClick1X", row % "1" + ",0,.5", row % "-1" + ",0,.5")
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


def test_published_class_names_and_both_forms_of_the_file(tmp_path: Path) -> None:
    published = sample.folder() / "class-descriptions-boxable.csv"
    classes = read_classes(published)
    assert len(classes) == published.read_bytes().count(b"\n") == 601
    assert not any(c.name != c.name.strip() for c in classes)
    v7 = table(tmp_path / "v7.csv", "LabelName,DisplayName", f"{SUIT},Suit")
    assert [c.name for c in read_classes(v7)] == ["Suit"]
    with pytest.raises(DataError, match=r"bad\.csv: row 2"):
        read_classes(table(tmp_path / "bad.csv", f"{SUIT},Suit", "Dress"))


def test_classes_are_chosen_exactly_in_the_given_order() -> None:
    known = read_classes(sample.folder() / "class-descriptions-boxable.csv")
    chosen = choose_classes([" jeans", "/m/01xyhv", "Wine"], known)
    assert [(c.mid, c.name) for c in chosen] == [("/m/0fly7", "Jeans"), ("/m/01xyhv", "Suit"), ("/m/081qc", "Wine")]


def test_all_wrong_classes_are_told_at_once_with_near_ones() -> None:
    known = read_classes(sample.folder() / "class-descriptions-boxable.csv")
    with pytest.raises(DataError) as caught:
        choose_classes(["Suits", "Dres", "Suit", "suit", "glass", "Xyzzyq"], known)
    message = str(caught.value)
    for part in ("'Suits'; near it: Suit", "Dress", "'Suit' is asked for twice", "Wine glass", "called 'Xyzzyq'"):
        assert part in message
    with pytest.raises(DataError, match="no class was asked for"):
        choose_classes([], known)


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        ("HIGH  heels", "High heels"),
        ("egg", "Egg (Food)"),
        ("Egg (Food)", "Egg (Food)"),
        ("Lifejacket", "Personal flotation device"),
        ("horn", "French horn"),
        ("Suit\r", "Suit"),
        ("Bat", "Bat (Animal)"),
    ],
)
def test_other_spellings_and_the_names_of_v4(request_: str, name: str) -> None:
    known = read_classes(sample.folder() / "class-descriptions-boxable.csv")
    assert [c.name for c in choose_classes([request_], known)] == [name]


def test_a_name_of_two_classes_must_be_given_by_id(tmp_path: Path) -> None:
    known = read_classes(table(tmp_path / "c.csv", "/m/01,Horn", "/m/02,Horn"))
    with pytest.raises(DataError, match=r"/m/01, /m/02: give the id"):
        choose_classes(["Horn"], known)
    assert choose_classes(["/m/02"], known)[0].mid == "/m/02"


def test_partitions() -> None:
    assert parse_partitions(None) is None
    assert parse_partitions("F") == frozenset("f")
    assert parse_partitions("8-b, 01") == frozenset("89ab01")
    for wrong in ("", "g", "f-0", "0-", "0--3", "f,,e"):
        with pytest.raises(DataError, match="partitions"):
            parse_partitions(wrong)
