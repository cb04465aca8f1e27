"""Rotation and size of photos and masks."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clothseg.openimages import BuildOptions, build_dataset

A, B, C = "1" * 16, "12345678e9012345", "f00000000000000f"
SUIT, DRESS, SUITCASE = "/m/01xyhv", "/m/01d40f", "/m/01s55n"
A, B, C, D = "1" * 16, "12345678e9012345", "f00000000000000f", "2" * 16
SUIT, DRESS = "/m/01xyhv", "/m/01d40f"


TURNS = {3: 2, 6: 3, 8: 1}  # EXIF mark -> quarter turns counter-clockwise that it asks for


def marked(data: bytes, mark: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = mark
    stream = io.BytesIO()
    with Image.open(io.BytesIO(data)) as photo:
        photo.save(stream, "JPEG", quality=95, exif=exif)
    return stream.getvalue()


@pytest.mark.parametrize("mark", [1, 3, 6, 8])
@pytest.mark.parametrize("drawn_upright", [True, False])
@pytest.mark.parametrize("listed", ["", "same"])
def test_photo_and_mask_agree_with_any_exif_tag(
    good: Any, tmp_path: Path, mark: int, drawn_upright: bool, listed: str, load: Any, pixels: Any
) -> None:
    """The mask covers the bright half, drawn on the upright or on the stored photo; the list says which, or not."""
    upright = np.zeros((40, 24), dtype=bool)
    upright[:20] = True
    turns = TURNS.get(mark, 0)
    stored = np.rot90(upright, -turns)
    if mark == 3 and (drawn_upright == bool(listed)):
        pytest.skip("at 180 degrees the shape says nothing, and the list decides")
    image_id = "3" * 16
    good.photo("train", image_id)
    values = np.repeat(stored[..., None] * np.uint8(255), 3, axis=2)
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "JPEG", quality=95)
    good.photos["train"][image_id] = marked(stream.getvalue(), mark) if mark > 1 else stream.getvalue()
    if listed:
        good.lists["train"][-1] = good.lists["train"][-1].removesuffix("0.0") + f"{turns * 90}.0"
    good.mask("train", image_id, SUIT, "0000000a", upright if drawn_upright else np.ascontiguousarray(stored))
    build_dataset(good.write(), tmp_path / "out", ["Suit"])
    document = load(tmp_path / "out")
    (annotation,) = (a for a in document["annotations"] if a["box_id"] == "0000000a")
    with Image.open(tmp_path / "out" / "images" / f"{image_id}.jpg") as photo:
        assert photo.getexif().get(0x0112, 1) == 1
        bright = np.asarray(photo.convert("L")) > 128
    assert bright.shape == tuple(annotation["segmentation"]["size"])
    assert (bright == pixels(annotation)).mean() > 0.97


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_upright_turns_photo_mask_and_box_together(
    good: Any, tmp_path: Path, rotation: int, load: Any, pixels: Any
) -> None:
    image_id = "3" * 16
    good.photo("train", image_id)
    good.lists["train"][-1] = good.lists["train"][-1].removesuffix("0.0") + f"{rotation}.0"
    values = np.zeros((30, 20, 3), dtype=np.uint8)
    values[8:22, 5:10] = 255
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "JPEG", quality=95)
    good.photos["train"][image_id] = stream.getvalue()
    good.mask("train", image_id, SUIT, "0000000a", values[..., 0] > 0)
    good.box("train", image_id, SUIT, 0.25)
    build_dataset(good.write(), tmp_path / "out", ["Suit"], BuildOptions(upright=True))
    document = load(tmp_path / "out")
    (number,) = (i["id"] for i in document["images"] if i["open_images_id"] == image_id)
    found = [a for a in document["annotations"] if a["image_id"] == number]
    assert [a["iscrowd"] for a in found] == [0, 1]
    expected = np.rot90(values[..., 0] > 0, rotation // 90)
    with Image.open(tmp_path / "out" / "images" / f"{image_id}.jpg") as photo:
        bright = np.asarray(photo.convert("L")) > 128
    for shown in (bright, pixels(found[0]), pixels(found[1])):
        assert shown.shape == expected.shape
        assert (shown == expected).mean() > 0.97


def test_large_photos_and_their_masks_are_resized(good: Any, tmp_path: Path, load: Any) -> None:
    mask = np.zeros((60, 40), dtype=bool)
    mask[20:40, 10:30] = True
    good.photo("train", "3" * 16, (300, 200))
    good.mask("train", "3" * 16, SUIT, "0000000a", mask)
    summary = build_dataset(good.write(), tmp_path / "out", ["Suit", "Dress"], BuildOptions(max_size=30))
    document = load(tmp_path / "out")
    assert {(i["width"], i["height"]) for i in document["images"]} == {(20, 30)}
    assert [i.get("changed") for i in document["images"]] == [None, None, ["resized"]]
    with Image.open(tmp_path / "out" / "images" / f"{'3' * 16}.jpg") as photo:
        assert photo.size == (20, 30)
    (annotation,) = (a for a in document["annotations"] if a["box_id"] == "0000000a")
    assert annotation["bbox"] == [5, 10, 10, 10]
    assert summary.changed == {"resized": 1}


def test_an_upright_photo_has_an_upright_mask(good: Any, tmp_path: Path, load: Any) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    source = good.write()
    Image.new("RGB", (30, 20)).save(source / "train" / f"{B}.jpg", exif=exif)
    build_dataset(source, tmp_path / "out", ["Suit", "Dress"])
    image = load(tmp_path / "out")["images"][1]
    assert (image["width"], image["height"]) == (20, 30)
    assert load(tmp_path / "out")["annotations"][-1]["area"] == 50
