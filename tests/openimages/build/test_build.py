"""What can be asked of a build: kinds, regions to ignore, sizes, ways up, polygons; and that nothing stops it."""

import csv
import hashlib
import io
import json
import random
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as referee

from clothseg import sample
from clothseg.errors import ClothsegError, DataError
from clothseg.openimages import BuildOptions, build_dataset, read_hierarchy
from clothseg.openimages.build.work_folder import WorkFolder

A, B, C = "1" * 16, "12345678e9012345", "f00000000000000f"
SUIT, DRESS, SUITCASE = "/m/01xyhv", "/m/01d40f", "/m/01s55n"
TREE = {
    "LabelName": "/m/0bl9f",
    "Subcategory": [
        {
            "LabelName": "/m/01gkx_",
            "Subcategory": [
                {"LabelName": DRESS, "Subcategory": [{"LabelName": SUIT}], "Part": [{"LabelName": SUITCASE}]}
            ],
        },
        {"LabelName": "/m/07mhn", "Subcategory": [{"LabelName": SUIT}]},
    ],
}


def load(out: Path, split: str = "train") -> dict[str, Any]:
    document: dict[str, Any] = json.loads((out / "annotations" / f"{split}.json").read_text())
    return document


def digests(out: Path) -> dict[str, str]:
    files = sorted(p for p in out.rglob("*") if p.is_file())
    return {str(p.relative_to(out)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def pixels(annotation: dict[str, Any]) -> NDArray[np.bool_]:
    return np.asarray(referee.decode(annotation["segmentation"]), dtype=bool)


def test_a_class_takes_in_its_kinds_but_not_its_parts(good: Any, tmp_path: Path) -> None:
    source = good.write()
    (source / "bbox_labels_600_hierarchy.json").write_text(json.dumps(TREE))
    with pytest.raises(DataError, match="no mask row matches"):
        build_dataset(source, tmp_path / "out", ["Swimwear"])
    summary = build_dataset(source, tmp_path / "out", ["Swimwear"], BuildOptions(include_children=True))
    assert summary.included == {"Swimwear": ("Dress", "Suit")}
    found = load(tmp_path / "out")["annotations"]
    assert [(a["category_id"], a["mid"]) for a in found] == [(1, SUIT), (1, SUIT), (1, DRESS)]
    assert yaml.safe_load((tmp_path / "out" / "dataset.yaml").read_text())["classes"][0]["includes"] == [
        "Dress",
        "Suit",
    ]
    # A Suit is nearer to Trousers (1 step) than to Swimwear (2), and stays itself when it is asked for.
    nearer = build_dataset(source, tmp_path / "two", ["Swimwear", "Trousers"], BuildOptions(include_children=True))
    assert nearer.included == {"Swimwear": ("Dress",), "Trousers": ("Suit",)}
    own = build_dataset(source, tmp_path / "own", ["Swimwear", "Suit"], BuildOptions(include_children=True))
    assert own.included == {"Swimwear": ("Dress",), "Suit": ()}


def test_the_published_tree() -> None:
    tree = read_hierarchy(sample.folder() / "bbox_labels_600_hierarchy.json")
    assert len(tree.kinds) == 602
    assert {"/m/09j2d", "/m/0463sg"} == set(tree.parents("/m/02dl1y"))  # a Hat is Clothing and a Fashion accessory
    below = tree.below("/m/09j2d")
    assert below[SUIT] == below[DRESS] == 1
    assert "/m/0k65p" not in tree.below("/m/01g317")  # a hand is a part of a person


def flagged(good: Any) -> Path:
    """A has an unmasked box and an unmasked group; B's mask has a group's box."""
    good.box("train", A, SUIT, 0.3, group=1)
    good.box("train", A, SUIT, 0.26)
    good.boxes["train"][0] = good.boxes["train"][0].replace(",0,0,0,0,0", ",1,-1,1,0,0")
    return Path(good.write())


def test_boxes_without_mask_become_regions(good: Any, tmp_path: Path) -> None:
    summary = build_dataset(flagged(good), tmp_path / "out", ["Suit", "Dress"])
    found = load(tmp_path / "out")["annotations"]
    crowds = [a for a in found if a["iscrowd"]]
    assert [(a["image_id"], a["mid"], a["isgroupof"]) for a in crowds] == [(1, SUIT, 0), (1, SUIT, 1)]
    # Photos are 20 wide and 30 high; boxes go from 0.26 or 0.3 to 0.5 and from 0.25 to 0.75.
    expected = np.zeros((30, 20), dtype=bool)
    expected[8:22, 5:10] = True
    assert np.array_equal(pixels(crowds[0]), expected)
    assert crowds[0]["bbox"] == [5, 8, 5, 14]
    assert crowds[0]["area"] == 70
    assert summary.train.regions == 2
    # B's only mask is a group: a region, not an object, so B shows no object.
    assert summary.train.photos == 1


def test_flags_come_from_the_box_file(good: Any, tmp_path: Path) -> None:
    good.boxes["train"][1] = good.boxes["train"][1].replace(",0,0,0,0,0", ",1,-1,0,0,1")
    good.boxes["train"].pop(2)
    summary = build_dataset(good.write(), tmp_path / "out", ["Suit", "Dress"])
    by_box = {a["box_id"]: a for a in load(tmp_path / "out")["annotations"]}
    names = ("isoccluded", "istruncated", "isgroupof", "isdepiction", "isinside")
    assert [by_box["00000123"][n] for n in names] == [1, -1, 0, 0, 1]
    assert [by_box["00000045"][n] for n in names] == [-1] * 5
    assert summary.boxless == 1


def test_boxes_without_mask_ignored_or_their_photo_dropped(good: Any, tmp_path: Path) -> None:
    source = flagged(good)
    ignored = build_dataset(source, tmp_path / "ignored", ["Suit", "Dress"], BuildOptions(boxes_without_mask="ignore"))
    assert [a["iscrowd"] for a in load(tmp_path / "ignored")["annotations"]] == [0, 0]
    assert ignored.reasons() == {"group": 1}
    with pytest.raises(DataError, match="all 3 mask rows were dropped, the first: 2 boxes without mask"):
        build_dataset(source, tmp_path / "dropped", ["Suit", "Dress"], BuildOptions(boxes_without_mask="drop"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ignored", "source"]


def test_photos_and_masks_are_brought_to_one_size(good: Any, tmp_path: Path) -> None:
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


def marked(data: bytes, mark: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = mark
    stream = io.BytesIO()
    with Image.open(io.BytesIO(data)) as photo:
        photo.save(stream, "JPEG", quality=95, exif=exif)
    return stream.getvalue()


TURNS = {3: 2, 6: 3, 8: 1}  # EXIF mark -> quarter turns counter-clockwise that it asks for


@pytest.mark.parametrize("mark", [1, 3, 6, 8])
@pytest.mark.parametrize("drawn_upright", [True, False])
@pytest.mark.parametrize("listed", ["", "same"])
def test_photo_and_mask_agree_whatever_the_marks_say(
    good: Any, tmp_path: Path, mark: int, drawn_upright: bool, listed: str
) -> None:
    """The mask covers the bright half, drawn on the upright photo or on the stored one; the file says which, or not."""
    upright = np.zeros((40, 24), dtype=bool)
    upright[:20] = True
    turns = TURNS.get(mark, 0)
    stored = np.rot90(upright, -turns)
    if mark == 3 and (drawn_upright == bool(listed)):
        pytest.skip("at 180 degrees the shape tells nothing, and the list is what is believed")
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
def test_upright_turns_photo_mask_and_box_together(good: Any, tmp_path: Path, rotation: int) -> None:
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


def test_a_mask_of_another_shape_is_dropped_and_told(good: Any, tmp_path: Path) -> None:
    good.mask("train", B, SUIT, "0000000a", np.ones((20, 30), dtype=bool))
    summary = build_dataset(good.write(), tmp_path / "out", ["Suit", "Dress"])
    (lost,) = summary.failed
    assert lost.reason == "other_shape"
    assert "20 x 30 pixels (height x width), the photo 30 x 20" in lost.detail


@pytest.mark.parametrize("tolerance", [0.0, 1.5])
def test_polygons_and_how_well_they_draw(tmp_path: Path, tolerance: float) -> None:
    rle, polygons = tmp_path / "rle", tmp_path / "polygons"
    build_dataset(sample.folder(), rle, ["Suit"], BuildOptions(limit=8))
    summary = build_dataset(sample.folder(), polygons, ["Suit"], BuildOptions(limit=8, polygons=tolerance))
    worst = 1.0
    for split in ("train", "val"):
        for one, other in zip(load(rle, split)["annotations"], load(polygons, split)["annotations"], strict=True):
            height, width = one["segmentation"]["size"]
            drawn = referee.merge(referee.frPyObjects(other["segmentation"], height, width))
            iou = float(referee.iou([drawn], [one["segmentation"]], [0])[0, 0])
            assert other["polygon_iou"] == pytest.approx(iou, abs=1e-6)
            assert other["area"] == referee.area(drawn)
            worst = min(worst, iou)
    assert summary.polygons is not None
    assert summary.polygons.worst_iou == pytest.approx(worst, abs=1e-6)
    assert worst == 1.0 if tolerance == 0 else 0.9 < worst < 1.0


def test_broken_rows_are_told_and_the_rest_goes_on(good: Any, tmp_path: Path) -> None:
    good.rows["train"].insert(1, f"x.png,{A}")
    good.boxes["train"].insert(0, good.boxes["train"][0].replace("0.250000", "up"))
    summary = build_dataset(good.write(), tmp_path / "out", ["Suit", "Dress"])
    told = {d.detail.split(":")[0] + d.detail.split(":")[1] for d in summary.failed}
    assert told == {"train-annotations-object-segmentation.csv row 3", "train-annotations-bbox.csv row 2"}
    assert summary.train.masks == 3


def test_masks_that_no_row_names_and_members_that_lead_out(good: Any, tmp_path: Path) -> None:
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
    assert set(summary.unnamed) == {f"{A}_m01xyhv_0000000a.png", f"../../{evil}", "/etc/passwd.png"}
    (lost,) = summary.failed
    assert (lost.reason, lost.box_id) == ("missing_mask", "0000000c")
    assert "not trusted" in lost.detail
    assert sorted(p.name for p in tmp_path.iterdir()) == ["deep", "source"]
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["out"]


@pytest.mark.parametrize("kind", ["rgb", "palette", "16-bit", "grey palette", "rgba"])
def test_masks_in_other_kinds_of_png(good: Any, tmp_path: Path, kind: str) -> None:
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


def test_a_member_that_would_unpack_to_gigabytes(good: Any, tmp_path: Path) -> None:
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


def test_the_split_keeps_copies_of_a_photo_together(tmp_path: Path, good: Any) -> None:
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


@pytest.mark.slow
def test_workers_write_the_same_bytes(tmp_path: Path) -> None:
    parallel = BuildOptions(limit=20, workers=2, chunk_photos=7, min_parallel_photos=1)
    assert build_dataset(sample.folder(), tmp_path / "one", ["Suit", "Dress"], parallel).speed.workers == 2
    build_dataset(sample.folder(), tmp_path / "other", ["Suit", "Dress"], BuildOptions(limit=20))
    assert digests(tmp_path / "one") == digests(tmp_path / "other")


def test_two_builds_for_one_place(good: Any, tmp_path: Path) -> None:
    source = good.write()
    with WorkFolder(tmp_path / "out").open({}), pytest.raises(ClothsegError, match="another build"):
        build_dataset(source, tmp_path / "out", ["Suit"])


def test_what_changed_since_the_interruption_is_done_again(good: Any, tmp_path: Path) -> None:
    def stop(photos: Any, _: str, __: int) -> Any:
        yield from photos
        raise KeyboardInterrupt

    source = good.write()
    (source / "train" / f"{A}.jpg").rename(tmp_path / "away.jpg")
    with pytest.raises(KeyboardInterrupt):
        build_dataset(source, tmp_path / "out", ["Suit", "Dress"], progress=stop)
    (tmp_path / "away.jpg").rename(source / "train" / f"{A}.jpg")
    assert build_dataset(source, tmp_path / "out", ["Suit", "Dress"]).train.masks == 3


KILLED = """
import sys, pathlib
from clothseg.openimages import BuildOptions, build_dataset
options = BuildOptions(val_fraction=0.2, limit=40, max_size=200, overwrite=True, chunk_photos=4)
build_dataset(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), ["Suit", "Dress", "Jeans"], options)
"""


@pytest.mark.slow
def test_killed_at_random_moments_a_rerun_gives_the_same_bytes(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(sample.folder())]
    subprocess.run([*command, str(tmp_path / "whole")], check=True)
    whole = digests(tmp_path / "whole")
    out, chance = tmp_path / "out", random.Random(7)
    killed = 0
    for _ in range(25):
        running = subprocess.Popen([*command, str(out)])
        time.sleep(chance.uniform(0.3, 1.5))
        if running.poll() is not None:
            break
        running.kill()
        running.wait()
        killed += 1
        if out.exists():
            assert digests(out) == whole
    subprocess.run([*command, str(out)], check=True)
    assert killed
    assert digests(out) == whole
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "whole"]


def test_unmasked_boxes_are_listed_whole(good: Any, tmp_path: Path) -> None:
    build_dataset(flagged(good), tmp_path / "out", ["Suit", "Dress"])
    with (tmp_path / "out" / "unmasked-boxes.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(r["ImageID"], r["Class"], r["XMin"], r["PhotoKept"]) for r in rows] == [
        (A, "Suit", "0.26", "1"),
        (A, "Suit", "0.3", "1"),
    ]
