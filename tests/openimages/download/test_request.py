"""What is needed of a mask list, and whether a table is complete."""

from pathlib import Path

import pytest

from clothseg import sample
from clothseg.errors import DataError
from clothseg.openimages.download.request import check_table, read_split_request

HEADER = "MaskPath,ImageID,LabelName,BoxID,BoxXMin,BoxXMax,BoxYMin,BoxYMax,PredictedIoU,Clicks"
SUIT, DRESS = "/m/01xyhv", "/m/01d40f"


def row(image_id: str, mid: str = SUIT, mask_path: str | None = None) -> str:
    name = f"{image_id}_{mid[3:]}_00000001.png" if mask_path is None else mask_path
    return f"{name},{image_id},{mid},00000001,0.1,0.2,0.3,0.4,0.0,"


def mask_list(tmp_path: Path, *rows: str, start: str = "") -> Path:
    path = tmp_path / "list.csv"
    path.write_text("\n".join([start + HEADER, *rows, ""]), encoding="utf-8")
    return path


@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_classes_partitions_and_limit(tmp_path: Path, start: str) -> None:
    ids = ["f" * 16, "0" * 16, "12345678e9012345", "1" * 16]
    path = mask_list(tmp_path, *map(row, ids), row("2" * 16, DRESS), row("1" * 16, DRESS), start=start)
    found = read_split_request(path, "train", [SUIT], None, None)
    assert found.photos == sorted(ids)
    assert {p: len(names) for p, names in found.masks.items()} == {"0": 1, "1": 2, "f": 1}
    assert found.rows == {SUIT: 4}
    assert read_split_request(path, "train", [SUIT], "1f", 2).photos == ["1" * 16, "12345678e9012345"]
    both = read_split_request(path, "train", [SUIT, DRESS], "1", 1)
    assert both.masks == {"1": [f"{'1' * 16}_01d40f_00000001.png", f"{'1' * 16}_01xyhv_00000001.png"]}
    assert both.rows == {SUIT: 1, DRESS: 1}


def test_rows_that_name_no_photo_or_lead_out_are_listed_with_their_number(tmp_path: Path) -> None:
    good = "a" * 16
    path = mask_list(
        tmp_path,
        row(good),
        row("../../../../etc/x"),
        row(good, mask_path="../x.png"),
        row(good, mask_path="/etc/x.png"),
        row(good, mask_path=""),
        row(good, mask_path="x.jpg"),
        row("../" * 5, DRESS),
        f"short.png,{good}",
        row(good, mask_path="f/" + good + "_b.png"),
    )
    found = read_split_request(path, "train", [SUIT], None, None)
    assert found.photos == [good]
    assert found.masks == {"a": [f"{good}_01xyhv_00000001.png", f"{good}_b.png"]}
    messages = "\n".join(found.broken)
    assert all(f"row {number}: " in messages for number in (3, 6, 7, 9))
    assert all(f"MaskPath is {path!r}" in messages for path in ("../x.png", "/etc/x.png"))
    with pytest.raises(DataError, match=r"no column .*MaskPath"):
        (tmp_path / "other.csv").write_text("ImageID,LabelName\n")
        read_split_request(tmp_path / "other.csv", "train", [SUIT], None, None)
    with pytest.raises(DataError, match="empty"):
        (tmp_path / "empty.csv").touch()
        read_split_request(tmp_path / "empty.csv", "train", [SUIT], None, None)


def test_a_table_cut_anywhere_in_its_last_row_is_refused(tmp_path: Path) -> None:
    for name, first in (("annotations-object-segmentation", "MaskPath"), ("annotations-bbox", "ImageID")):
        path = sample.folder() / f"train-{name}.csv"
        check_table(path, first)
        data = path.read_bytes()
        last = data.rstrip(b"\n").rindex(b"\n") + 1
        cut = tmp_path / "cut.csv"
        for stop in range(last + 1, data.rindex(b",")):
            cut.write_bytes(data[:stop])
            with pytest.raises(DataError, match="middle of a row"):
                check_table(cut, first)
    with pytest.raises(DataError, match="begins with '<html>"):
        cut.write_bytes(b"<html>\n")
        check_table(cut, "ImageID")
