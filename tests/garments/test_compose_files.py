"""From files to a pasted picture, and places as users write them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clothseg.errors import ClothsegError, DataError, PhotoError
from clothseg.garments import Cutout, Placement, compose_files, replace_files, save_cutout
from clothseg.instances import Instances
from clothseg.photos import RgbImage, read_photo

from .conftest import NAMES, photo_with, rectangles


def test_placements_by_hand() -> None:
    cutout = Cutout(np.full((40, 20, 4), 255, np.uint8))
    assert Placement(at="50%,10").box_for(cutout, (100, 200)) == (90, -10, 110, 30)
    assert Placement(box="0,0,50%,100%").box_for(cutout, (100, 200)) == (0, 0, 100, 100)
    for wrong in (
        Placement(at="5"),
        Placement(at="a,b"),
        Placement(box="1,2,3"),
        Placement(box="0,0,9,9", scale=2),
        Placement(at="nan,1"),
    ):
        with pytest.raises(DataError):
            wrong.box_for(cutout, (100, 200))


def test_a_garment_is_replaced(cutout: Cutout, tmp_path: Path) -> None:
    save_cutout(cutout, tmp_path / "dress.png")
    source = photo_with((30, 20, 70, 90))
    street = np.full((200, 150, 3), (90, 140, 60), np.uint8)
    Image.fromarray(source).save(tmp_path / "anna.png")
    Image.fromarray(street).save(tmp_path / "street.png")

    def predict(photo: RgbImage) -> Instances:
        if photo.shape[:2] == (120, 100):
            return rectangles((120, 100), ((0, 0, 9, 9), 1, 0.95), ((30, 20, 70, 90), 2, 0.9))
        return rectangles((200, 150), ((40, 60, 100, 160), 2, 0.7))

    for number, garment in enumerate(("dress.png", "anna.png")):
        out = tmp_path / f"out{number}.png"
        done = replace_files(
            tmp_path / garment, tmp_path / "street.png", out, predict, NAMES, class_name="Dress", match_light=False
        )
        assert done.box == pytest.approx((40, 60, 100, 160), abs=3)
        red = np.argwhere(np.abs(read_photo(out).astype(int) - (190, 50, 40)).max(axis=-1) < 30)
        assert np.abs(red.min(axis=0) - (60, 40)).max() <= 5
        assert np.abs(red.max(axis=0) - (159, 99)).max() <= 5
    with pytest.raises(DataError, match="no Suit found"):
        replace_files(
            tmp_path / "dress.png", tmp_path / "street.png", tmp_path / "x.png", predict, NAMES, class_name="Suit"
        )
    with pytest.raises(PhotoError, match="suffixes"):
        compose_files(tmp_path / "dress.png", tmp_path / "street.png", tmp_path / "x.gif", Placement())
    with pytest.raises(ClothsegError, match="--overwrite"):
        compose_files(tmp_path / "dress.png", tmp_path / "street.png", tmp_path / "out0.png", Placement())
    assert not (tmp_path / "x.png").exists()


@pytest.mark.parametrize(("name", "sides"), [("x.webp", (8, 16384)), ("x.jpg", (65501, 8)), ("x.JPEG", (8, 65501))])
def test_a_picture_that_is_too_large_for_the_format_is_named(tmp_path: Path, name: str, sides: tuple[int, int]) -> None:
    save_cutout(Cutout(np.full((4, 4, 4), 255, np.uint8)), tmp_path / "small.png")
    Image.new("RGB", sides[::-1]).save(tmp_path / "long.png")
    given = tmp_path / "small.png", tmp_path / "long.png"
    with pytest.raises(DataError, match=rf"{name}: .* at most \d+ pixels long.*\.png"):
        compose_files(*given, tmp_path / name, Placement(scale=1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["long.png", "small.png"]
    compose_files(*given, tmp_path / "x.png", Placement(scale=1))
    assert read_photo(tmp_path / "x.png").shape[:2] == sides
