"""Cut-outs and pasting, by hand-worked pixels and by going there and back."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from clothseg import sample
from clothseg.errors import ClothsegError, DataError, PhotoError
from clothseg.garments import (
    Cutout,
    Placement,
    compose,
    compose_files,
    cut_out,
    keep_shape,
    light_of,
    place,
    read_cutout,
    replace_files,
    save_cutout,
    worn,
    write_cutouts,
)
from clothseg.garments.light import from_linear, gains, relit, to_linear
from clothseg.instances import Instances, PixelMasks, Selection
from clothseg.photos import read_photo

NAMES = ["Suit", "Dress"]


def instances(size: tuple[int, int], *found: tuple[tuple[int, int, int, int], int, float]) -> Instances:
    """Rectangles x1 y1 x2 y2 with class and score."""
    masks = torch.zeros(len(found), *size, dtype=torch.bool)
    for mask, ((x1, y1, x2, y2), _, _) in zip(masks, found, strict=True):
        mask[y1:y2, x1:x2] = True
    boxes = torch.tensor([box for box, _, _ in found], dtype=torch.float32).reshape(-1, 4)
    classes = torch.tensor([label for _, label, _ in found], dtype=torch.int64)
    return Instances(size, boxes, classes, PixelMasks(masks), torch.tensor([score for _, _, score in found]))


def photo_with(box: tuple[int, int, int, int]) -> np.ndarray:
    """120 x 100 pixels of grass with a red rectangle."""
    photo = np.full((120, 100, 3), (90, 140, 60), np.uint8)
    photo[box[1] : box[3], box[0] : box[2]] = (190, 50, 40)
    return photo


@pytest.fixture
def cutout() -> Cutout:
    box = (30, 20, 70, 90)
    found = cut_out(photo_with(box), instances((120, 100), (box, 2, 0.9)), 0, "Dress")
    assert found is not None
    return found


def test_a_cutout_is_where_the_garment_was(cutout: Cutout) -> None:
    frame = cutout.full_frame()
    assert frame.shape == (120, 100, 4)
    middle = frame[25:85, 35:65]
    assert (middle[..., 3] == 255).all()
    assert (middle[..., :3] == (190, 50, 40)).all()
    solid = np.argwhere(frame[..., 3] > 127)
    assert np.abs(solid.min(axis=0) - (20, 30)).max() <= 1
    assert np.abs(solid.max(axis=0) - (89, 69)).max() <= 1
    edge = frame[(frame[..., 3] > 25) & (frame[..., 3] < 230)]
    assert (edge[:, 0].astype(int) - edge[:, 1] > 60).all(), "the edge is red, without the grass behind"
    assert cutout.picture[..., 3].any(axis=1).all()
    assert cutout.picture[..., 3].any(axis=0).all()


def test_instances_of_another_photo_are_refused() -> None:
    with pytest.raises(ValueError, match="on one of"):
        cut_out(np.zeros((5, 5, 3), np.uint8), instances((6, 5), ((0, 0, 2, 2), 1, 1.0)), 0)


def test_back_at_its_place_nothing_changes(cutout: Cutout) -> None:
    box = (30, 20, 70, 90)
    photo = photo_with(box)
    height, width = cutout.picture.shape[:2]
    there = cutout.left, cutout.top, cutout.left + width, cutout.top + height
    assert np.abs(compose(cutout, photo, there).astype(int) - photo).max() <= 12
    assert np.abs(compose(cutout, photo, there).astype(int) - photo).mean() < 0.2


def test_blending_by_hand() -> None:
    picture = np.zeros((1, 2, 4), np.uint8)
    picture[0] = [(200, 100, 0, 255), (200, 100, 0, 51)]
    background = np.full((3, 4, 3), 50, np.uint8)
    answer = compose(Cutout(picture), background, (1, 1, 3, 2))
    assert answer[1].tolist() == [[50] * 3, [200, 100, 0], [80, 60, 40], [50] * 3]
    assert (answer[[0, 2]] == 50).all()
    assert (background == 50).all()
    hanging = compose(Cutout(picture), background, (-1, 0, 1, 1))
    assert hanging[0, 0].tolist() == [80, 60, 40]
    assert (hanging[0, 1:] == 50).all()


@pytest.mark.parametrize("box", [(4, 0, 6, 1), (-9, -9, -2, -2), (1, 1, 1, 2), (2, 2, 1, 1), (0, 0, 90000, 90000)])
def test_places_that_make_no_sense(box: tuple[int, int, int, int]) -> None:
    with pytest.raises(DataError):
        compose(Cutout(np.full((1, 2, 4), 255, np.uint8)), np.zeros((3, 4, 3), np.uint8), box)


def test_places_by_hand() -> None:
    cutout = Cutout(np.full((40, 20, 4), 255, np.uint8))
    assert place(cutout, (100, 200)) == (90, 30, 110, 70)
    assert place(cutout, (100, 200), centre=(10, 50), scale=0.5) == (5, 40, 15, 60)
    assert place(cutout, (20, 200)) == (95, 0, 105, 20)
    assert keep_shape(cutout, (0, 0, 100, 40)) == (40, 0, 60, 40)
    assert keep_shape(cutout, (0, 10, 10, 100)) == (0, 10, 10, 30)
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


def test_light_of_a_tinted_photo() -> None:
    photo = read_photo(min((sample.folder() / "validation").glob("*.jpg")))
    tint = np.array([0.9, 0.7, 0.5])
    tinted = from_linear(to_linear(photo) * tint)
    ratio = np.array(light_of(tinted)) / light_of(photo)
    assert ratio == pytest.approx(tint, abs=0.02)
    back = relit(tinted, gains(light_of(tinted), light_of(photo)))
    dark = photo.max(axis=-1) < 250
    assert np.abs(back.astype(int) - photo)[dark].mean() < 2.5
    assert np.abs(tinted.astype(int) - photo)[dark].mean() > 10
    assert gains((0.01, 1, 1), (1, 0.01, 1)).tolist() == [2, 0.5, 1]


def test_colours_follow_the_light_unless_told(cutout: Cutout) -> None:
    dim = np.full((120, 100, 3), 70, np.uint8)
    place_there = (30, 20, 70, 90)
    matched, kept = (compose(cutout, dim, place_there, match_light=way) for way in (True, False))
    assert kept[50, 50].tolist() == [190, 50, 40]
    assert matched[50, 50, 0] < 170


def test_the_surest_of_the_class_is_replaced() -> None:
    found = instances((120, 100), ((0, 0, 10, 10), 2, 0.6), ((20, 30, 60, 80), 2, 0.8), ((5, 5, 90, 90), 1, 0.9))
    photo = photo_with((20, 30, 60, 80))
    old = worn(photo, found, 2)
    assert old is not None
    assert old.box == pytest.approx((20, 30, 60, 80), abs=2)
    assert worn(photo, found, 3) is None


def test_saved_and_read(cutout: Cutout, tmp_path: Path) -> None:
    save_cutout(cutout, tmp_path / "trimmed.png")
    save_cutout(cutout, tmp_path / "frame.png", full_frame=True)
    with Image.open(tmp_path / "frame.png") as picture:
        assert (picture.mode, picture.size) == ("RGBA", (100, 120))
    for name in ("trimmed.png", "frame.png"):
        again = read_cutout(tmp_path / name)
        assert np.array_equal(again.picture, cutout.picture)
        assert again.class_name == "Dress"
        assert again.light == pytest.approx(cutout.light)


def test_pictures_that_are_no_cutouts(tmp_path: Path) -> None:
    Image.new("RGB", (5, 5)).save(tmp_path / "opaque.png")
    Image.new("RGBA", (5, 5)).save(tmp_path / "empty.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nand nothing")
    for name, message in (
        ("opaque.png", "no transparency"),
        ("empty.png", "nothing in this picture is visible"),
        ("broken.png", "not a picture"),
        ("absent.png", "no such cut-out"),
    ):
        with pytest.raises(PhotoError, match=message):
            read_cutout(tmp_path / name)
    Image.new("RGBA", (5, 5), (1, 2, 3, 9)).save(tmp_path / "foreign.png")
    foreign = read_cutout(tmp_path / "foreign.png")
    assert (foreign.light, foreign.class_name) == (None, "")


def test_photos_to_cutouts(tmp_path: Path) -> None:
    box = (30, 20, 70, 90)
    Image.fromarray(photo_with(box)).save(tmp_path / "a.png")
    (tmp_path / "bad.jpg").write_bytes(b"")
    found = instances((120, 100), (box, 2, 0.9), ((0, 0, 20, 20), 1, 0.8), ((0, 0, 9, 9), 2, 0.2))
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
    with pytest.raises(DataError, match="it knows Suit, Dress"):
        write_cutouts(lambda photo: found, NAMES, paths, tmp_path / "other", classes=["Hat"])
    nothing = write_cutouts(lambda photo: found, NAMES, paths[:1], tmp_path / "none")
    assert (nothing.photos, (tmp_path / "none").exists()) == (0, False)


def test_replacing(cutout: Cutout, tmp_path: Path) -> None:
    save_cutout(cutout, tmp_path / "dress.png")
    source = photo_with((30, 20, 70, 90))
    street = np.full((200, 150, 3), (90, 140, 60), np.uint8)
    Image.fromarray(source).save(tmp_path / "anna.png")
    Image.fromarray(street).save(tmp_path / "street.png")

    def find(photo: np.ndarray) -> Instances:
        if photo.shape[:2] == (120, 100):
            return instances((120, 100), ((0, 0, 9, 9), 1, 0.95), ((30, 20, 70, 90), 2, 0.9))
        return instances((200, 150), ((40, 60, 100, 160), 2, 0.7))

    for number, garment in enumerate(("dress.png", "anna.png")):
        out = tmp_path / f"out{number}.png"
        done = replace_files(
            tmp_path / garment, tmp_path / "street.png", out, find, NAMES, class_name="Dress", match_light=False
        )
        assert done.box == pytest.approx((40, 60, 100, 160), abs=3)
        red = np.argwhere(np.abs(read_photo(out).astype(int) - (190, 50, 40)).max(axis=-1) < 30)
        assert np.abs(red.min(axis=0) - (60, 40)).max() <= 5
        assert np.abs(red.max(axis=0) - (159, 99)).max() <= 5
    with pytest.raises(DataError, match="no Suit found"):
        replace_files(
            tmp_path / "dress.png", tmp_path / "street.png", tmp_path / "x.png", find, NAMES, class_name="Suit"
        )
    with pytest.raises(PhotoError, match="suffixes"):
        compose_files(tmp_path / "dress.png", tmp_path / "street.png", tmp_path / "x.gif", Placement())
    with pytest.raises(ClothsegError, match="--overwrite"):
        compose_files(tmp_path / "dress.png", tmp_path / "street.png", tmp_path / "out0.png", Placement())
    assert not (tmp_path / "x.png").exists()
