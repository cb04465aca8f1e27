"""Contact sheets and loss curves, checked by their pixels."""

import io
import math
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from clothseg.pictures import compare_curves, contact_sheet, curves, loss_curve, loss_curves

LOSSES = ("total", "class", "bbox", "mask", "rpn_class", "rpn_bbox")


def plain(height: int, width: int, grey: int = 0) -> NDArray[np.uint8]:
    return np.full((height, width, 3), grey, dtype=np.uint8)


def history(rows: int, val: Any = 0.5) -> list[dict[str, Any]]:
    return [
        {"epoch": e} | {f"train_{n}": 1 / e for n in LOSSES} | {f"val_{n}": val for n in LOSSES}
        for e in range(1, rows + 1)
    ]


def pixels(png: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB"))


def coloured(picture: NDArray[np.uint8], panel: int) -> int:
    """The number of coloured pixels in one of the six panels (2 rows of 3)."""
    height, width = picture.shape[0] // 2, picture.shape[1] // 3
    row, column = divmod(panel, 3)
    part = picture[row * height : (row + 1) * height, column * width : (column + 1) * width].astype(int)
    return int((part.max(axis=2) - part.min(axis=2) > 60).sum())


@pytest.mark.parametrize("rows", [1, 2, 30])
def test_every_panel_has_curves(rows: int) -> None:
    picture = pixels(loss_curves(history(rows)))
    assert all(coloured(picture, panel) > 50 for panel in range(6))


@pytest.mark.parametrize("val", ["", None, "nan", math.inf])
def test_missing_values_keep_the_other_curve(val: Any) -> None:
    both, alone = pixels(loss_curves(history(9))), pixels(loss_curves(history(9, val)))
    assert all(0 < coloured(alone, panel) < coloured(both, panel) for panel in range(6))


@pytest.mark.parametrize("rate", [None, "", math.nan, math.inf])
def test_metrics_without_a_learning_rate_are_drawn(rate: Any) -> None:
    rows = [row | {"mask_AP": 0.5} for row in history(4)]
    shown = pixels(loss_curves([row | {"learning_rate": rate} for row in rows]))
    assert (shown == pixels(loss_curves(rows))).all()
    assert shown.shape == pixels(loss_curves([row | {"learning_rate": 0.1} for row in rows])).shape


def test_the_text_of_a_csv_gives_the_same_curves_as_numbers() -> None:
    as_text = [{key: str(value) for key, value in row.items()} for row in history(4)]
    assert loss_curves(as_text) == loss_curves(history(4))


def test_compared_runs_have_different_colours() -> None:
    one, two = history(6), [{k: v / 2 if k != "epoch" else v for k, v in row.items()} for row in history(9)]
    picture = pixels(compare_curves({"first": one, "second": two}))
    blue = (np.abs(picture.astype(int) - (31, 119, 180)).sum(axis=2) < 60).sum()
    orange = (np.abs(picture.astype(int) - (255, 127, 14)).sum(axis=2) < 60).sum()
    assert blue > 500
    assert orange > 500
    assert compare_curves({"first": one}) != compare_curves({"first": two})


@pytest.mark.parametrize("rows", [[], [{"epoch": 1}], [{}]])
def test_a_history_without_values_is_drawn_with_a_note(rows: list[dict[str, Any]]) -> None:
    assert pixels(loss_curves(rows)).min() < 200


def test_svg_is_the_same_each_time() -> None:
    svg = loss_curve(history(3), "mask")
    assert svg.lstrip().startswith(b"<?xml")
    assert b"</svg>" in svg
    assert svg == loss_curve(history(3), "mask")


def test_a_sheet_shows_each_picture_completely() -> None:
    pictures = [plain(60, 40, 10), plain(40, 60, 80), plain(300, 20, 150), plain(5, 5, 200)]
    sheet = contact_sheet(pictures, columns=3, captions=["one", "two", "three", "a long caption " * 9], width=600)
    assert sheet.shape[1] == 600
    for grey in (10, 80, 150, 200):
        assert (sheet == grey).all(axis=2).sum() > 100
    assert (sheet[:, :3] == 255).all()


def test_columns_without_pictures_are_not_left_empty() -> None:
    sheet = contact_sheet([plain(10, 10)], columns=5, width=200)
    assert sheet.shape[0] >= 180


@pytest.mark.parametrize("given", [{"pictures": []}, {"captions": ["one", "two"]}, {"columns": 0}, {"width": 1}])
def test_impossible_sheets_are_errors(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"picture|caption|column"):
        contact_sheet(**({"pictures": [plain(9, 9)]} | given))


def test_metrics_are_drawn_beside_the_losses_if_there_are_any() -> None:
    plain_rows = history(6)
    rows = [
        row | ({"mask_AP": 0.3, "report_mAP": 0.6, "learning_rate": 0.1} if row["epoch"] % 2 else {})
        for row in plain_rows
    ]
    one, other = pixels(loss_curves(plain_rows)), pixels(loss_curves(rows))
    assert (one.shape[1], other.shape[1]) == (1500, 2000)
    corner = other[:400, 1500:].astype(int)
    assert (np.abs(corner - (0x2A, 0x6F, 0xC9)).sum(axis=2) < 60).sum() > 50  # mask AP
    assert (np.abs(corner - (0xA2, 0x5C, 0xC4)).sum(axis=2) < 60).sum() > 50  # the report's
    assert pixels(compare_curves({"a": plain_rows, "b": rows})).shape[1] == 2000


@pytest.mark.parametrize("epochs", [1, 2, 40])
def test_epochs_are_whole_numbers_and_metrics_percent(epochs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where only the last epoch was evaluated: one point, which matplotlib surrounds with fractions."""
    drawn: list[Figure] = []

    def keep(figure: Figure, _: str) -> bytes:
        drawn.append(figure)
        return b""

    monkeypatch.setattr(curves, "save_figure", keep)
    rows = history(epochs)
    rows[-1] |= {"mask_AP": 0.3, "report_mAP": 0.6}
    compare_curves({"one": rows})
    loss_curves([row | {"learning_rate": 0.1} for row in rows])
    for figure in drawn:
        for axes in figure.axes:
            low, high = axes.get_xlim()
            ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
            assert ticks and all(float(tick).is_integer() for tick in ticks), axes.get_title(loc="left")
        points = {float(y) for axes in figure.axes for line in axes.lines for y in np.asarray(line.get_ydata())}
        assert {30.0, 60.0} <= points


def test_overfitting_is_marked_only_in_its_panel() -> None:
    plain_picture, marked = (pixels(loss_curves(history(9), marks=marks)) for marks in ({}, {"bbox": 5}))
    changed = np.argwhere((plain_picture != marked).any(axis=2))
    assert len(changed) > 50
    assert changed[:, 0].max() < 400
    assert changed[:, 1].min() > 1000
