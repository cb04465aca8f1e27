"""Cut-outs as files: written, read again, and listed."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from clothseg.errors import ClothsegError, ConfigError, PhotoError
from clothseg.garments import Cutout, read_cutout, save_cutout, write_cutouts
from clothseg.instances import Selection

from ..test_colour_profiles import COLOURS, P3, by_hand, profile
from .conftest import NAMES, photo_with, rectangles


def test_a_saved_cutout_is_read_again(cutout: Cutout, tmp_path: Path) -> None:
    save_cutout(cutout, tmp_path / "trimmed.png")
    save_cutout(cutout, tmp_path / "frame.png", full_frame=True)
    with Image.open(tmp_path / "frame.png") as picture:
        assert (picture.mode, picture.size) == ("RGBA", (100, 120))
    for name in ("trimmed.png", "frame.png"):
        again = read_cutout(tmp_path / name)
        assert np.array_equal(again.picture, cutout.picture)
        assert again.class_name == "Dress"
        assert again.light == pytest.approx(cutout.light)


def test_pictures_that_are_not_cutouts(tmp_path: Path) -> None:
    Image.new("RGB", (5, 5)).save(tmp_path / "opaque.png")
    Image.new("RGBA", (5, 5)).save(tmp_path / "empty.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nand nothing")
    for name, message in (
        ("opaque.png", "no transparency"),
        ("empty.png", "completely transparent"),
        ("broken.png", "cannot be read"),
        ("absent.png", "no such photo"),
    ):
        with pytest.raises(PhotoError, match=message):
            read_cutout(tmp_path / name)
    Image.new("RGBA", (5, 5), (1, 2, 3, 9)).save(tmp_path / "foreign.png")
    foreign = read_cutout(tmp_path / "foreign.png")
    assert (foreign.light, foreign.class_name) == (None, "")


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_cutout_of_a_phone_is_turned_upright(orientation: int, suffix: str, tmp_path: Path) -> None:
    layers = np.random.default_rng(orientation).integers(1, 255, (6, 9, 4), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(layers).save(tmp_path / f"turned{suffix}", exif=exif, lossless=True)
    with Image.open(tmp_path / f"turned{suffix}") as picture:
        upright = ImageOps.exif_transpose(picture)
    np.testing.assert_array_equal(read_cutout(tmp_path / f"turned{suffix}").picture, np.asarray(upright))


def test_colours_of_a_cutout_become_those_of_srgb(tmp_path: Path) -> None:
    layers = np.dstack([COLOURS[None], np.full((1, len(COLOURS)), 120, np.uint8)])
    Image.fromarray(layers).save(tmp_path / "p3.png", icc_profile=profile(P3, 2.2))
    found = read_cutout(tmp_path / "p3.png").picture[0]
    assert np.abs(found[:, :3] - by_hand(COLOURS)).max() <= 2
    assert (found[:, 3] == 120).all()


def test_photos_to_cutouts(tmp_path: Path) -> None:
    box = (30, 20, 70, 90)
    Image.fromarray(photo_with(box)).save(tmp_path / "a.png")
    (tmp_path / "bad.jpg").write_bytes(b"")
    found = rectangles((120, 100), (box, 2, 0.9), ((0, 0, 20, 20), 1, 0.8), ((0, 0, 9, 9), 2, 0.2))
    paths, out = [tmp_path / "bad.jpg", tmp_path / "a.png"], tmp_path / "cut"
    done = write_cutouts(lambda photo: Selection(0.5)(found), NAMES, paths, out)
    assert (done.photos, done.garments, len(done.failed)) == (1, 2, 1)
    rows = json.loads((out / "cutouts.json").read_text())["cutouts"]
    assert [row["class"] for row in rows] == ["Dress", "Suit"]
    assert {p.name for p in out.glob("*.png")} == {row["file_name"] for row in rows}
    with pytest.raises(ClothsegError, match="--overwrite"):
        write_cutouts(lambda photo: found, NAMES, paths, out)
    (out / "mine.txt").write_text("mine")
    again = write_cutouts(
        lambda photo: found[:2], NAMES, paths, out, classes=["dress"], full_frame=True, overwrite=True
    )
    assert again.garments == 1
    assert sorted(p.name for p in out.iterdir()) == ["0002-a-1-Dress.png", "cutouts.json", "mine.txt"]
    with pytest.raises(ConfigError, match=r"--class: .* it knows Suit, Dress"):
        write_cutouts(lambda photo: found, NAMES, paths, tmp_path / "other", classes=["Hat"])
    nothing = write_cutouts(lambda photo: found, NAMES, paths[:1], tmp_path / "none")
    assert (nothing.photos, (tmp_path / "none").exists()) == (0, False)


def test_a_photo_with_the_longest_name_gets_its_cutout(tmp_path: Path) -> None:
    box = (30, 20, 70, 90)
    path = tmp_path / f"{'n' * 240}.png"
    Image.fromarray(photo_with(box)).save(path)
    found = rectangles((120, 100), (box, 1, 0.9))
    assert write_cutouts(lambda photo: found, ["x" * 240], [path], tmp_path / "cut").garments == 1
    with pytest.raises(ClothsegError, match="among the inputs"):
        write_cutouts(lambda photo: found, ["x"], [path], tmp_path, overwrite=True)


@pytest.mark.parametrize(
    "content",
    [
        *(b"\xff\xfe", b"{", b"[]", b'{"cutouts": null}', b'{"cutouts": 5}', b'{"cutouts": [7, {}]}'),
        *(b'{"cutouts": [{"file_name": "%s"}]}' % name for name in (b"", b"..", b"sub", b"a\\u0000.png", b"notes.txt")),
    ],
)
def test_a_damaged_list_of_cutouts_is_written_again_and_no_other_file_deleted(content: bytes, tmp_path: Path) -> None:
    Image.fromarray(photo_with((30, 20, 70, 90))).save(tmp_path / "a.png")
    out = tmp_path / "out"

    def cut(*, overwrite: bool = False) -> object:
        found = rectangles((120, 100), ((30, 20, 70, 90), 2, 0.9))
        return write_cutouts(lambda photo: found, NAMES, [tmp_path / "a.png"], out, overwrite=overwrite)

    done = cut()
    expected = (out / "cutouts.json").read_bytes()
    (out / "cutouts.json").write_bytes(content)
    (out / "sub").mkdir()
    (out / "notes.txt").write_text("mine")
    assert cut(overwrite=True) == done
    assert (out / "cutouts.json").read_bytes() == expected
    assert (out / "notes.txt").read_text() == "mine" and (out / "sub").is_dir()


def test_class_names_become_safe_file_names(tmp_path: Path) -> None:
    box = (30, 20, 70, 90)
    Image.fromarray(photo_with(box)).save(tmp_path / "a.png")
    found = rectangles((120, 100), (box, 1, 0.9))
    write_cutouts(lambda photo: found, ["Top, t-shirt/blouse: long?"], [tmp_path / "a.png"], tmp_path / "cut")
    (row,) = json.loads((tmp_path / "cut" / "cutouts.json").read_text())["cutouts"]
    assert row["file_name"] == "0001-a-1-Top, t-shirt_blouse_ long_.png"
    assert row["class"] == "Top, t-shirt/blouse: long?"
    assert (tmp_path / "cut" / row["file_name"]).is_file()
