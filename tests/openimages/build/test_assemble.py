"""The split, and what the summary lists."""

import csv
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from clothseg import sample
from clothseg.openimages import BuildOptions, build_dataset

A, B, C = "1" * 16, "12345678e9012345", "f00000000000000f"
SUIT, DRESS, SUITCASE = "/m/01xyhv", "/m/01d40f", "/m/01s55n"
A, B, C, D = "1" * 16, "12345678e9012345", "f00000000000000f", "2" * 16
SUIT, DRESS = "/m/01xyhv", "/m/01d40f"


def test_broken_rows_are_listed_and_the_others_converted(good: Any, tmp_path: Path) -> None:
    good.rows["train"].insert(1, f"x.png,{A}")
    good.boxes["train"].insert(0, good.boxes["train"][0].replace("0.250000", "up"))
    summary = build_dataset(good.write(), tmp_path / "out", ["Suit", "Dress"])
    messages = {d.detail.split(":")[0] + d.detail.split(":")[1] for d in summary.failed}
    assert messages == {"train-annotations-object-segmentation.csv row 3", "train-annotations-bbox.csv row 2"}
    assert summary.train.masks == 3


def test_masks_without_a_row_and_members_that_lead_out_are_listed(good: Any, tmp_path: Path) -> None:
    good.mask("train", A, SUIT, "0000000a")
    good.rows["train"].pop()
    good.mask("train", A, SUITCASE, "0000000b")
    good.rows["train"].pop()
    source = good.write()
    evil = f"{A}_m01xyhv_0000000c.png"
    with zipfile.ZipFile(source / "train-masks" / "train-masks-1.zip", "a") as archive:
        archive.writestr(f"../../{evil}", b"png")
        archive.writestr("/etc/passwd.png", b"png")
    with (source / "train-annotations-object-segmentation.csv").open("a") as stream:
        stream.write(f"{evil},{A},{SUIT},0000000c,0.1,0.5,0.2,0.6,0,\n")
    summary = build_dataset(source, tmp_path / "deep" / "out", ["Suit", "Dress"])
    assert set(summary.unnamed_masks) == {f"{A}_m01xyhv_0000000a.png", f"../../{evil}", "/etc/passwd.png"}
    (lost,) = summary.failed
    assert (lost.reason, lost.box_id) == ("missing_mask", "0000000c")
    assert "unsafe path" in lost.detail
    assert sorted(p.name for p in tmp_path.iterdir()) == ["deep", "source"]
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["out"]


def test_the_split_keeps_copies_of_a_photo_on_one_side(tmp_path: Path, good: Any, load: Any) -> None:
    photos = sorted((sample.folder() / "train").glob("*.jpg"))[:12]
    ids = [f"{n:016x}" for n in range(24)]
    for image_id, path in zip(ids, photos * 2, strict=True):
        with Image.open(path) as photo:
            size = (photo.height, photo.width)
            good.photo("train", image_id, size)
            stream = io.BytesIO()
            photo.resize((photo.width // 2 * 2, photo.height // 2 * 2)).save(
                stream, "JPEG", quality=40 + int(image_id, 16)
            )
            good.photos["train"][image_id] = stream.getvalue()
        good.mask("train", image_id, SUIT, f"{int(image_id, 16):08x}", np.ones(size, dtype=bool))
    summary = build_dataset(good.write(), tmp_path / "out", ["Suit"], BuildOptions(val_fraction=0.3))
    side = {i["open_images_id"]: split for split in ("train", "val") for i in load(tmp_path / "out", split)["images"]}
    for one, other in zip(ids[:12], ids[12:], strict=True):
        assert side[one] == side[other]
    assert set(summary.near_duplicates) >= {(a, b) for a, b in zip(ids[:12], ids[12:], strict=True)}


def test_boxes_without_mask_are_counted_and_listed(good: Any, tmp_path: Path, described: Any) -> None:
    good.box("train", A, SUIT, 0.3, group=1)
    good.box("train", A, SUIT, 0.1301)
    good.box("train", "9" * 16, SUIT, 0.3)
    summary = build_dataset(good.write(), tmp_path / "out", ["Suit", "Dress"])
    assert [(b.image_id, b.is_group, b.kept) for b in summary.boxes_without_mask] == [(A, False, True), (A, True, True)]
    listed = described(tmp_path / "out")["boxes_without_mask"]
    assert listed["train"] == {"Suit": 2, "Dress": 0}
    with (tmp_path / "out" / "boxes-without-mask.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(r["ImageID"], r["XMin"], r["IsGroupOf"]) for r in rows] == [(A, "0.1301", "0"), (A, "0.3", "1")]
