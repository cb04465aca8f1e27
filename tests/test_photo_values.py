"""Photos in the forms that Python users have: all the same array as the file, or an error in words."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from clothseg import sample
from clothseg.config import Config
from clothseg.errors import PhotoError
from clothseg.models import MaskRCNN
from clothseg.photo_values import as_photo
from clothseg.photos import read_photo

RAMP = np.arange(40 * 60, dtype=np.uint32).reshape(40, 60) % 256
COLOURS = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]], axis=-1).astype(np.uint8)
OPAQUE = np.concatenate([COLOURS, np.full((40, 60, 1), 255, np.uint8)], axis=-1)
SAME: dict[str, Any] = {
    "uint8": COLOURS,
    "float32 in 0..1": (COLOURS / 255).astype(np.float32),
    "float64 in 0..255": COLOURS.astype(np.float64),
    "int64": COLOURS.astype(np.int64),
    "uint16": COLOURS.astype(np.uint16) * 257,
    "not contiguous": np.asfortranarray(COLOURS),
    "RGBA": OPAQUE,
    "Pillow": Image.fromarray(COLOURS),
    "Pillow RGBA": Image.fromarray(OPAQUE),
    "tensor": torch.from_numpy(COLOURS).permute(2, 0, 1),
    "float tensor": torch.from_numpy(COLOURS).permute(2, 0, 1) / 255,
    "half tensor": torch.from_numpy(COLOURS).permute(2, 0, 1).half() / 255,
    "tensor with a gradient": (torch.from_numpy(COLOURS).permute(2, 0, 1) / 255).requires_grad_(),
}


@pytest.mark.parametrize("form", SAME)
def test_every_form_is_the_same_photo(form: str) -> None:
    photo = as_photo(SAME[form])
    assert photo.dtype == np.uint8
    assert np.array_equal(photo, COLOURS)


@pytest.mark.parametrize("shape", [(40, 60), (40, 60, 1)])
def test_grey_becomes_rgb(shape: tuple[int, ...]) -> None:
    want = np.repeat(RAMP[..., None], 3, axis=-1)
    assert np.array_equal(as_photo(RAMP.astype(np.uint8).reshape(shape)), want)
    assert np.array_equal(as_photo(torch.from_numpy(RAMP.astype(np.uint8))), want)
    assert np.array_equal(as_photo(Image.fromarray(RAMP.astype(np.uint8))), want)


def test_files_and_their_bytes(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(COLOURS).save(tmp_path / "a.jpg", exif=exif)
    photo = read_photo(tmp_path / "a.jpg")
    assert photo.shape == (60, 40, 3)
    for form in (str(tmp_path / "a.jpg"), (tmp_path / "a.jpg").read_bytes(), Image.open(tmp_path / "a.jpg")):
        assert np.array_equal(as_photo(form), photo)


REFUSED: list[tuple[Any, str]] = [
    (np.moveaxis(COLOURS, -1, 0), r"shape \[3, 40, 60\].*transpose\(1, 2, 0\)"),
    (torch.from_numpy(COLOURS), r"shape \[40, 60, 3\].*permute\(2, 0, 1\)"),
    (torch.zeros((2, 3, 8, 8)), r"is a batch; give a list"),
    (np.zeros((0, 0, 3), np.uint8), "shape"),
    (np.zeros((4, 4, 2), np.uint8), "shape"),
    (COLOURS / 127.5 - 1, "Do not normalise"),
    (np.full((4, 4, 3), np.nan), "nan"),
    (np.full((4, 4, 3), 300.0), "300"),
    (COLOURS > 3, "bool"),
    (np.zeros((4, 4, 3), dtype=complex), "complex"),
    (b"", "empty"),
    (b"not a photo", "not a picture"),
    (None, "NoneType is no photo"),
    ({"a": 1}, "dict is no photo"),
    (3, "int is no photo"),
]


@pytest.mark.parametrize(("value", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_anything_else_is_refused_in_words(value: Any, words: str) -> None:
    with pytest.raises(PhotoError, match=words):
        as_photo(value)


def test_predict_takes_them_all() -> None:
    settings = ["input.height=96", "input.width=64", "inference.score_threshold=0.0", "inference.max_detections=2"]
    model = MaskRCNN(Config.load("demo", settings)).build(["Suit", "Dress"])
    path = min((sample.folder() / "validation").glob("*.jpg"))
    pixels = read_photo(path)
    want = model.predict(path)
    assert len(want) == 2
    assert want.names == ("Suit", "Dress")
    found = model.predict([str(path), path.read_bytes(), pixels, pixels / 255, Image.open(path)])
    assert all(torch.equal(one.boxes, want.boxes) for one in found)
    paths = [path, path]  # list[Path]: mypy checks that it is one of the types
    assert [len(one) for one in model.predict(paths)] == [2, 2]
    for several in (path.parent.glob(path.name), (str(path) for _ in range(1)), {path: 1}.keys()):
        assert [one.boxes.tolist() for one in model.predict(several)] == [want.boxes.tolist()]
    with pytest.raises(PhotoError, match="dict is no photo"):
        model.predict({"photo": path})
    assert model.predict([]) == []
    with pytest.raises(PhotoError, match="int is no photo"):
        model.predict([[1, 2], [3, 4]])  # type: ignore[list-item]


def test_reprs_are_short_and_say_what_matters() -> None:
    config = Config.load("demo")
    assert repr(config) == str(config)
    assert all(word in repr(config) for word in ("mask_rcnn", config.backbone.name, f"{config.train.epochs} epochs"))
    assert len(repr(config)) < 200


def test_an_array_that_may_not_be_written_is_copied() -> None:
    locked = COLOURS.copy()
    locked.flags.writeable = False
    assert as_photo(locked).flags.writeable
    assert as_photo(COLOURS) is COLOURS
