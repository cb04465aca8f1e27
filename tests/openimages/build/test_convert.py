"""One photo: its masks on its grid, its regions, and what is dropped."""

import io
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as referee

from clothseg.errors import DataError
from clothseg.openimages import BuildOptions, build_dataset

A, B, C, D = "1" * 16, "12345678e9012345", "f00000000000000f", "2" * 16
SUIT, DRESS = "/m/01xyhv", "/m/01d40f"
A, B, C = "1" * 16, "12345678e9012345", "f00000000000000f"
SUIT, DRESS, SUITCASE = "/m/01xyhv", "/m/01d40f", "/m/01s55n"


@pytest.mark.parametrize("size", [(60, 40), (47, 31), (15, 10), (30, 20), (31, 20)])
@pytest.mark.parametrize("one", [True, np.uint8(1), np.uint8(255)])
def test_masks_of_any_size_and_depth_get_the_size_of_the_photo(
    good: Any, tmp_path: Path, size: tuple[int, int], one: Any, load: Any
) -> None:
    kind = np.bool_ if one is True else np.uint8
    mask = (np.random.default_rng(3).random(size) > 0.5).astype(kind) * one
    good.mask("train", B, SUIT, "0000000a", mask.astype(kind))
    build_dataset(good.write(), tmp_path / "out", ["Suit"])
    annotation = next(a for a in load(tmp_path / "out")["annotations"] if a["box_id"] == "0000000a")
    expected = np.asarray(Image.fromarray(mask > 0).resize((20, 30), Image.Resampling.NEAREST))
    assert annotation["segmentation"]["size"] == [30, 20]
    assert np.array_equal(referee.decode(annotation["segmentation"]).astype(bool), expected)


def test_overlapping_masks_stay_complete(good: Any, tmp_path: Path, load: Any) -> None:
    build_dataset(good.write(), tmp_path / "out", ["Suit", "Suitcase"])
    areas = [a["area"] for a in load(tmp_path / "out")["annotations"]]
    assert areas == [50, 50, 50]


def test_empty_masks_are_dropped_without_a_failure(good: Any, tmp_path: Path, described: Any) -> None:
    good.mask("train", A, DRESS, "0000000e", np.zeros((30, 20), dtype=bool))
    vanishing = np.zeros((300, 200), dtype=bool)
    vanishing[0, 0] = True
    good.mask("train", B, DRESS, "0000000f", vanishing)
    summary = build_dataset(good.write(), tmp_path / "out", ["Dress", "Suit"])
    assert [(d.reason, d.image_id, d.box_id) for d in summary.dropped] == [
        ("empty_mask", A, "0000000e"),
        ("empty_mask", B, "0000000f"),
    ]
    assert not summary.failed
    listed = described(tmp_path / "out")["dropped"]["empty_mask"]
    assert [(row["photo"], row["box"]) for row in listed] == [(A, "0000000e"), (B, "0000000f")]


@pytest.mark.parametrize("keep_empty", [False, True])
def test_lost_photos_and_masks_are_reported_by_row(good: Any, tmp_path: Path, keep_empty: bool, load: Any) -> None:
    whole = good.photos["train"][A]
    for digit, data in {"3": b"", "4": whole[: len(whole) // 2], "5": b"<html>gone</html>", "6": None}.items():
        good.photo("train", digit * 16)
        good.photos["train"][digit * 16] = data
        good.mask("train", digit * 16, SUIT, f"0000000{digit}")
    del good.photos["train"]["6" * 16]
    good.mask("train", A, SUIT, "0000000a")
    del good.masks["train"][f"{A}_m01xyhv_0000000a.png"]
    good.mask("train", A, SUIT, "0000000b")
    good.masks["train"][f"{A}_m01xyhv_0000000b.png"] = b"no picture"
    good.mask("train", A, SUIT, "0000000c")
    bomb = good.masks["train"][f"{A}_m01xyhv_0000000c.png"]
    header = b"IHDR" + struct.pack(">II", 60000, 60000) + bomb[24:29]
    good.masks["train"][f"{A}_m01xyhv_0000000c.png"] = (
        bomb[:12] + header + struct.pack(">I", zlib.crc32(header)) + bomb[33:]
    )
    good.photo("train", D)
    good.mask("train", D, SUIT, "0000000d")
    source = good.write()
    (source / "train-masks" / "train-masks-2.zip").unlink()
    summary = build_dataset(source, tmp_path / "out", ["Suit"], BuildOptions(keep_empty=keep_empty))
    assert {(d.image_id[0], d.box_id[-1], d.reason) for d in summary.failed} == {
        ("1", "a", "missing_mask"),
        ("1", "b", "unreadable_mask"),
        ("1", "c", "unreadable_mask"),
        ("2", "d", "missing_mask"),
        ("3", "3", "unreadable_photo"),
        ("4", "4", "unreadable_photo"),
        ("5", "5", "unreadable_photo"),
        ("6", "6", "missing_photo"),
    }
    assert str(source) not in (tmp_path / "out" / "dataset.yaml").read_text()
    # B shows no Suit; D lost its only mask, so it is no negative.
    assert {i["open_images_id"] for i in load(tmp_path / "out")["images"]} == ({A, B} if keep_empty else {A})


def test_repeated_rows_count_once(good: Any, tmp_path: Path) -> None:
    good.rows["train"].append(good.rows["train"][0])
    summary = build_dataset(good.write(), tmp_path / "out", ["Dress", "Suit"])
    assert summary.reasons() == {"duplicate_row": 1}
    assert summary.train.masks == 3


def test_boxes_without_mask_ignored_or_their_photo_dropped(good: Any, tmp_path: Path, load: Any, flagged: Any) -> None:
    ignored = build_dataset(flagged, tmp_path / "ignored", ["Suit", "Dress"], BuildOptions(boxes_without_mask="ignore"))
    assert [a["iscrowd"] for a in load(tmp_path / "ignored")["annotations"]] == [0, 0]
    assert ignored.reasons() == {"group": 1}
    with pytest.raises(DataError, match="all 3 mask rows were dropped, the first: 2 boxes without a mask"):
        build_dataset(flagged, tmp_path / "dropped", ["Suit", "Dress"], BuildOptions(boxes_without_mask="drop"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ignored", "source"]


def test_a_mask_of_another_shape_is_dropped(good: Any, tmp_path: Path) -> None:
    good.mask("train", B, SUIT, "0000000a", np.ones((20, 30), dtype=bool))
    summary = build_dataset(good.write(), tmp_path / "out", ["Suit", "Dress"])
    (lost,) = summary.failed
    assert lost.reason == "other_shape"
    assert "20 x 30 pixels (height x width), the photo 30 x 20" in lost.detail


@pytest.mark.parametrize("kind", ["rgb", "palette", "16-bit", "grey palette", "rgba"])
def test_masks_in_other_kinds_of_png(good: Any, tmp_path: Path, kind: str, load: Any, pixels: Any) -> None:
    shape = np.zeros((30, 20), dtype=np.uint8)
    shape[5:15, 4:9] = 1
    picture = {
        "rgb": Image.fromarray(np.stack([shape * 255, shape * 90, shape], axis=2)),
        "rgba": Image.fromarray(np.stack([shape * 255] * 4, axis=2)),
        "16-bit": Image.fromarray(shape.astype(np.uint16) * 40000),
        "palette": Image.fromarray(shape),
        "grey palette": Image.fromarray(1 - shape),
    }[kind]
    if "palette" in kind:
        picture.putpalette([255, 0, 0, 0, 255, 0] if kind == "palette" else [255, 255, 255, 0, 0, 0])
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    good.mask("train", B, SUIT, "0000000a")
    good.masks["train"][f"{B}_m01xyhv_0000000a.png"] = stream.getvalue()
    summary = build_dataset(good.write(), tmp_path / "out", ["Suit", "Dress"])
    found = {a["box_id"]: a for a in load(tmp_path / "out")["annotations"]}
    if kind in {"16-bit", "grey palette"}:
        assert np.array_equal(pixels(found["0000000a"]), shape > 0)
    else:
        assert [d.reason for d in summary.failed] == ["unreadable_mask"]
        assert "one channel" in summary.failed[0].detail


def test_a_member_with_too_many_bytes_is_not_unpacked(good: Any, tmp_path: Path) -> None:
    source = good.write()
    name = f"{A}_m01xyhv_00000123.png"
    path = source / "train-masks" / "train-masks-1.zip"
    with zipfile.ZipFile(path) as archive:
        members = {n: archive.read(n) for n in archive.namelist()}
    members[name] = b"\0" * 40_000_000
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    summary = build_dataset(source, tmp_path / "out", ["Suit", "Dress"])
    assert [(d.reason, d.box_id) for d in summary.failed] == [("unreadable_mask", "00000123")]
