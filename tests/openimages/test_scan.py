"""Fast reading of large tables, with broken rows and other traps."""

from pathlib import Path
from typing import Any

import pytest

from clothseg.errors import DataError
from clothseg.openimages import read_masks
from clothseg.openimages.scan import Columns, scan

SUIT = "/m/01xyhv"
HEADER = "MaskPath,ImageID,LabelName,BoxID,BoxXMin,BoxXMax,BoxYMin,BoxYMax,PredictedIoU,Clicks"
IMAGE = "12345678e9012345"
ROW = f"{IMAGE}_m01xyhv_1234e567.png,{IMAGE},{SUIT},1234e567,0.1,0.5,0.2,0.6,0.9,0.1 0.2 1;0.3 0.4 0"


@pytest.mark.parametrize(
    ("bad_row", "message", "image"),
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
    tmp_path: Path, bad_row: str, message: str, image: str, partitions: frozenset[str] | None, write_table: Any
) -> None:
    path = write_table(tmp_path / "masks.csv", HEADER, ROW, ROW, bad_row, ROW)
    rows = read_masks(path, [SUIT], partitions)
    assert len(rows) == 3
    (broken,) = rows.broken
    assert (broken.file, broken.row, broken.image_id) == ("masks.csv", 4, image)
    assert message in str(broken)
    (also,) = read_masks(path, None).broken
    assert also.row == 4


def test_blank_lines_quotes_a_byte_order_mark_and_no_last_line_end(tmp_path: Path) -> None:
    quoted = ",".join(f'"{cell}"' for cell in ROW.split(","))
    (tmp_path / "m.csv").write_bytes(f"\ufeff{HEADER}\r\n{ROW}\r\n\r\n{quoted}\r\n{ROW[:-1]}".encode())
    rows = read_masks(tmp_path / "m.csv", [SUIT])
    assert len(rows) == 3
    assert rows.broken == []
    assert len(set(rows)) == 1


def test_rows_across_two_blocks(tmp_path: Path, write_table: Any) -> None:
    rows = [ROW.replace("1234e567", f"{n:08x}") for n in range(50)]
    rows[30] = rows[30].replace(",0.1,", ",x,")
    columns = Columns(ids=("ImageID", "BoxID", "LabelName"), numbers=("BoxXMin",))
    frame, broken = scan(write_table(tmp_path / "m.csv", HEADER, *rows), columns, [SUIT], None, block_bytes=200)
    assert frame["BoxID"].to_list() == [f"{n:08x}" for n in range(50) if n != 30]
    assert [b.row for b in broken] == [32]


def test_the_wrong_table_is_refused(tmp_path: Path, write_table: Any) -> None:
    with pytest.raises(DataError, match=r"more than 10000 rows are broken, the first: row 2.*right table"):
        read_masks(write_table(tmp_path / "m.csv", HEADER, *["a,b"] * 10_001), [SUIT])


def test_a_missing_column_and_an_empty_table_are_named(tmp_path: Path, write_table: Any) -> None:
    with pytest.raises(DataError, match="no column BoxID"):
        read_masks(write_table(tmp_path / "m.csv", HEADER.replace("BoxID,", ""), ROW), [SUIT])
    (tmp_path / "e.csv").touch()
    with pytest.raises(DataError, match=r"e\.csv: the table is empty"):
        read_masks(tmp_path / "e.csv", [SUIT])
    assert list(read_masks(write_table(tmp_path / "h.csv", HEADER), [SUIT])) == []
    assert read_masks(tmp_path / "h.csv", [SUIT]).of(IMAGE) == []


def test_a_mistake_of_the_caller_is_not_blamed_on_the_table(tmp_path: Path, write_table: Any) -> None:
    """No pattern says what a `BoxXMin` is as an id."""
    path = write_table(tmp_path / "m.csv", HEADER, ROW)
    with pytest.raises(KeyError, match="BoxXMin"):
        scan(path, Columns(ids=("ImageID", "LabelName", "BoxXMin"), numbers=()), [SUIT], None)


def test_a_cell_beyond_the_limit_of_the_csv_library_is_blamed_on_the_table(tmp_path: Path, write_table: Any) -> None:
    path = write_table(tmp_path / "m.csv", HEADER, ROW + ',"' + "1" * 200_000 + '"')
    with pytest.raises(DataError, match=r"m\.csv: cannot be read .*; is this the right table"):
        scan(path, Columns(ids=("ImageID", "LabelName"), numbers=()), [SUIT], None)
