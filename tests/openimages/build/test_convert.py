"""The whole way, on tiny folders with one trap each and on real photos; pycocotools and Pillow are the referees."""

import csv
import hashlib
import json
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from pycocotools import mask as referee
from pycocotools.coco import COCO

from clothseg import sample
from clothseg.errors import ClothsegError, DataError
from clothseg.openimages import BuildOptions, build_dataset

A, B, C, D = "1" * 16, "12345678e9012345", "f00000000000000f", "2" * 16
SUIT, DRESS = "/m/01xyhv", "/m/01d40f"
SHARED = Path(__file__).parents[3].parent / "shared" / "data" / "ccp-openimages"


def load(out: Path, split: str = "train") -> dict[str, Any]:
    document: dict[str, Any] = json.loads((out / "annotations" / f"{split}.json").read_text())
    return document


def described(out: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((out / "dataset.yaml").read_text())
    return document


def digests(out: Path) -> dict[str, str]:
    files = sorted(p for p in out.rglob("*") if p.is_file())
    return {str(p.relative_to(out)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_ids_categories_and_provenance(good: Any, tmp_path: Path) -> None:
    summary = build_dataset(good.write(), tmp_path / "out", ["Dress", "Suit"])
    train = load(tmp_path / "out")
    assert [(c["id"], c["name"], c["mid"]) for c in train["categories"]] == [(1, "Dress", DRESS), (2, "Suit", SUIT)]
    assert [(i["id"], i["file_name"], i["open_images_id"]) for i in train["images"]] == [
        (1, f"{A}.jpg", A),
        (2, f"{B}.jpg", B),
    ]
    found = [(a["id"], a["image_id"], a["category_id"], a["box_id"], a["iscrowd"]) for a in train["annotations"]]
    assert found == [(1, 1, 2, "00000045", 0), (2, 1, 2, "00000123", 0), (3, 2, 1, "1234e567", 0)]
    assert train["images"][0]["author"] == 'Ann, "A" B'
    assert train["images"][0]["source_url"] == f"http://x/{A}"
    assert train["licenses"] == [{"id": 1, "name": "CC BY 2.0", "url": "https://creativecommons.org/licenses/by/2.0/"}]
    assert (tmp_path / "out" / "images" / f"{A}.jpg").read_bytes() == good.photos["train"][A]
    assert summary.rows() == [("Dress", 1, 1, 0, 0, 0, 0), ("Suit", 1, 2, 1, 1, 0, 0), ("all", 2, 3, 1, 1, 0, 0)]
    assert described(tmp_path / "out")["classes"][0]["mid"] == DRESS


def test_area_and_box_are_those_of_the_pixels(good: Any, tmp_path: Path) -> None:
    pixels = np.zeros((30, 20), dtype=bool)
    pixels[0, 0] = pixels[29, 19] = True
    pixels[10:13, 5] = True
    good.mask("train", B, SUIT, "0000000a", pixels)
    build_dataset(good.write(), tmp_path / "out", ["Suit"])
    annotation = next(a for a in load(tmp_path / "out")["annotations"] if a["box_id"] == "0000000a")
    assert annotation["area"] == 5
    assert annotation["bbox"] == [0, 0, 20, 30]
    assert np.array_equal(referee.decode(annotation["segmentation"]), pixels)


@pytest.mark.parametrize("size", [(60, 40), (47, 31), (15, 10), (30, 20), (31, 20)])
@pytest.mark.parametrize("one", [True, np.uint8(1), np.uint8(255)])
def test_masks_of_any_size_and_depth_come_to_the_photos_grid(
    good: Any, tmp_path: Path, size: tuple[int, int], one: Any
) -> None:
    kind = np.bool_ if one is True else np.uint8
    mask = (np.random.default_rng(3).random(size) > 0.5).astype(kind) * one
    good.mask("train", B, SUIT, "0000000a", mask.astype(kind))
    build_dataset(good.write(), tmp_path / "out", ["Suit"])
    annotation = next(a for a in load(tmp_path / "out")["annotations"] if a["box_id"] == "0000000a")
    expected = np.asarray(Image.fromarray(mask > 0).resize((20, 30), Image.Resampling.NEAREST))
    assert annotation["segmentation"]["size"] == [30, 20]
    assert np.array_equal(referee.decode(annotation["segmentation"]).astype(bool), expected)


def test_overlapping_masks_both_stay_whole(good: Any, tmp_path: Path) -> None:
    build_dataset(good.write(), tmp_path / "out", ["Suit", "Suitcase"])
    areas = [a["area"] for a in load(tmp_path / "out")["annotations"]]
    assert areas == [50, 50, 50]


def test_empty_masks_are_dropped_and_do_not_make_a_failure(good: Any, tmp_path: Path) -> None:
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
def test_lost_photos_and_masks_are_reported_by_row(good: Any, tmp_path: Path, keep_empty: bool) -> None:
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


def test_negatives_have_no_box_of_a_chosen_class(good: Any, tmp_path: Path) -> None:
    good.photo("train", D)
    good.photo("train", "3" * 16)
    good.box("train", "3" * 16, SUIT, 0.2)
    source = good.write()
    assert build_dataset(source, tmp_path / "without", ["Suit", "Dress"]).train.photos == 2
    summary = build_dataset(source, tmp_path / "with", ["Suit", "Dress"], BuildOptions(keep_empty=True))
    assert (summary.train.photos, summary.train.negatives) == (3, 1)
    images = load(tmp_path / "with")["images"]
    assert [i["open_images_id"] for i in images] == [A, B, D]


def test_boxes_without_mask_are_counted_and_listed(good: Any, tmp_path: Path) -> None:
    good.box("train", A, SUIT, 0.3, group=1)
    good.box("train", A, SUIT, 0.1301)
    good.box("train", "9" * 16, SUIT, 0.3)
    summary = build_dataset(good.write(), tmp_path / "out", ["Suit", "Dress"])
    assert [(b.image_id, b.is_group, b.kept) for b in summary.unmasked] == [(A, False, True), (A, True, True)]
    listed = described(tmp_path / "out")["unmasked_boxes"]
    assert listed["train"] == {"Suit": 2, "Dress": 0}
    with (tmp_path / "out" / "unmasked-boxes.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(r["ImageID"], r["XMin"], r["IsGroupOf"]) for r in rows] == [(A, "0.1301", "0"), (A, "0.3", "1")]


def test_rows_that_stand_twice_count_once(good: Any, tmp_path: Path) -> None:
    good.rows["train"].append(good.rows["train"][0])
    summary = build_dataset(good.write(), tmp_path / "out", ["Dress", "Suit"])
    assert summary.reasons() == {"duplicate_row": 1}
    assert summary.train.masks == 3


def test_partition_fraction_and_limit(good: Any, tmp_path: Path) -> None:
    for digit in "3456789":
        good.photo("train", digit * 16)
        good.mask("train", digit * 16, SUIT, f"0000000{digit}")
    source = good.write()

    def ids(out: str, split: str) -> set[str]:
        return {i["open_images_id"][0] for i in load(tmp_path / out, split)["images"]}

    build_dataset(source, tmp_path / "part", ["Suit"], BuildOptions(partitions="3-5,f"))
    assert (ids("part", "train"), ids("part", "val")) == (set("345"), set("f"))
    build_dataset(source, tmp_path / "fraction", ["Suit"], BuildOptions(val_fraction=0.25, seed=4))
    train, val = ids("fraction", "train"), ids("fraction", "val")
    assert len(val) == 2
    assert train | val == set("13456789")
    assert not train & val
    build_dataset(source, tmp_path / "limit", ["Suit"], BuildOptions(limit=3))
    assert ids("limit", "train") == set("134")


def test_by_fraction_no_validation_files_are_needed(good: Any, tmp_path: Path) -> None:
    source = good.write()
    (source / "validation-annotations-object-segmentation.csv").unlink()
    build_dataset(source, tmp_path / "out", ["Suit", "Dress"], BuildOptions(val_fraction=0.5))
    with pytest.raises(DataError, match=r"validation-annotations-object-segmentation\.csv: no such file"):
        build_dataset(source, tmp_path / "own", ["Suit", "Dress"])


@pytest.mark.parametrize(
    "name",
    [
        "train",
        "train-masks",
        "train-annotations-bbox.csv",
        "class-descriptions-boxable.csv",
        "train-images-boxable-with-rotation.csv",
    ],
)
def test_a_missing_part_is_named_and_nothing_is_written(good: Any, tmp_path: Path, name: str) -> None:
    source = good.write()
    (source / name).rename(tmp_path / "away")
    with pytest.raises(DataError, match=name):
        build_dataset(source, tmp_path / "deep" / "out", ["Suit"])
    assert not (tmp_path / "deep").exists()


def test_invalid_requests(good: Any, tmp_path: Path) -> None:
    source = good.write()
    with pytest.raises(DataError, match=r"train has no photo .*: no mask row matches"):
        build_dataset(source, tmp_path / "out", ["Jeans"])
    with pytest.raises(DataError, match=r"val has no photo.*--val-fraction"):
        build_dataset(source, tmp_path / "out", ["Dress"])
    with pytest.raises(DataError, match="fraction"):
        build_dataset(source, tmp_path / "out", ["Suit"], BuildOptions(val_fraction=1.0))
    with pytest.raises(DataError, match="limit"):
        build_dataset(source, tmp_path / "out", ["Suit"], BuildOptions(limit=0))
    with pytest.raises(DataError, match="no such folder"):
        build_dataset(tmp_path / "nowhere", tmp_path / "out", ["Suit"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["source"]


def test_a_photo_in_both_splits_is_refused(good: Any, tmp_path: Path) -> None:
    good.photo("validation", A)
    good.mask("validation", A, SUIT, "00000001")
    with pytest.raises(DataError, match=f"photo {A} stands in train and in validation"):
        build_dataset(good.write(), tmp_path / "out", ["Suit"])


def test_what_is_in_the_way_stays(good: Any, tmp_path: Path) -> None:
    source = good.write()
    out = tmp_path / "out"
    out.mkdir()
    (out / "diary.txt").write_text("mine")
    with pytest.raises(ClothsegError, match="exists already"):
        build_dataset(source, out, ["Suit"])
    with pytest.raises(ClothsegError, match="not a dataset"):
        build_dataset(source, out, ["Suit"], BuildOptions(overwrite=True))
    with pytest.raises(ClothsegError, match="holds the source"):
        build_dataset(source, source, ["Suit"], BuildOptions(overwrite=True))
    assert (out / "diary.txt").read_text() == "mine"
    (out / "diary.txt").unlink()
    build_dataset(source, out, ["Suit"])
    build_dataset(source, out, ["Dress", "Suit"], BuildOptions(overwrite=True))
    assert len(load(out)["categories"]) == 2


def test_an_interrupted_build_leaves_what_was_there(good: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = good.write()
    build_dataset(source, tmp_path / "out", ["Suit"])
    before = digests(tmp_path / "out")

    def stop(photos: Iterable[Any], _: str, __: int) -> Iterator[Any]:
        yield next(iter(photos))
        raise KeyboardInterrupt

    def stop_writing(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_dataset(source, tmp_path / "out", ["Suit", "Dress"], BuildOptions(overwrite=True), progress=stop)
    with monkeypatch.context() as patch:
        patch.setattr("clothseg.openimages.build.build.write_dataset", stop_writing)
        with pytest.raises(KeyboardInterrupt):
            build_dataset(source, tmp_path / "out", ["Suit", "Dress"], BuildOptions(overwrite=True))
    assert digests(tmp_path / "out") == before
    assert sorted(p.name for p in tmp_path.iterdir()) == [".out.building", "out", "source"]
    converted: list[str] = []

    def count(photos: Iterable[Any], _: str, __: int) -> Iterator[Any]:
        for photo in photos:
            converted.append(photo)
            yield photo

    build_dataset(source, tmp_path / "out", ["Suit", "Dress"], BuildOptions(overwrite=True), progress=count)
    assert converted == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "source"]
    build_dataset(source, tmp_path / "fresh", ["Suit", "Dress"])
    assert digests(tmp_path / "out") == digests(tmp_path / "fresh")


def test_the_same_bytes_twice_and_whatever_the_order_of_rows(good: Any, tmp_path: Path) -> None:
    source = good.write()
    build_dataset(source, tmp_path / "one", ["Suit", "Dress"], BuildOptions(val_fraction=0.5, seed=1))
    table = source / "train-annotations-object-segmentation.csv"
    before = digests(tmp_path / "one")
    build_dataset(source, tmp_path / "two", ["Suit", "Dress"], BuildOptions(val_fraction=0.5, seed=1))
    assert digests(tmp_path / "two") == before
    header, *rows = table.read_text().splitlines()
    table.write_text("\r\n".join([header, *reversed(rows)]))
    build_dataset(source, tmp_path / "three", ["Suit", "Dress"], BuildOptions(val_fraction=0.5, seed=1))
    after = digests(tmp_path / "three")
    assert {k: v for k, v in after.items() if k != "dataset.yaml"} == {
        k: v for k, v in before.items() if k != "dataset.yaml"
    }


def test_an_upright_photo_has_an_upright_mask(good: Any, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    source = good.write()
    Image.new("RGB", (30, 20)).save(source / "train" / f"{B}.jpg", exif=exif)
    build_dataset(source, tmp_path / "out", ["Suit", "Dress"])
    image = load(tmp_path / "out")["images"][1]
    assert (image["width"], image["height"]) == (20, 30)
    assert load(tmp_path / "out")["annotations"][-1]["area"] == 50


def test_ids_in_the_record_are_text_for_every_yaml_reader(good: Any, tmp_path: Path) -> None:
    good.mask("train", B, DRESS, "1234e568", np.zeros((30, 20), dtype=bool))
    build_dataset(good.write(), tmp_path / "out", ["Suit", "Dress"])
    assert "'1234e568'" in (tmp_path / "out" / "dataset.yaml").read_text()


def test_the_sample_is_coco_to_the_referee(tmp_path: Path) -> None:
    build_dataset(sample.folder(), tmp_path / "out", ["Suit", "Dress", "Jeans"])
    for split in ("train", "val"):
        coco = COCO(str(tmp_path / "out" / "annotations" / f"{split}.json"))
        for annotation in coco.dataset["annotations"]:
            image = coco.imgs[annotation["image_id"]]
            rle = annotation["segmentation"]
            assert rle["size"] == [image["height"], image["width"]]
            assert referee.area(rle) == annotation["area"] > 0
            assert referee.toBbox(rle).tolist() == annotation["bbox"]
        for image in coco.dataset["images"]:
            with Image.open(tmp_path / "out" / "images" / image["file_name"]) as photo:
                assert photo.size == (image["width"], image["height"])


@pytest.mark.skipif(not SHARED.is_dir(), reason="the larger photo set is not beside this clone")
def test_the_larger_set_agrees_with_its_provenance(tmp_path: Path) -> None:
    summary = build_dataset(SHARED, tmp_path / "out", ["Suit", "Dress", "Jeans"])
    with (SHARED / "provenance-boxes.csv").open(newline="") as stream:
        truth = [r for r in csv.DictReader(stream) if r["Class"] in summary.classes and r["Split"] != "test"]
    with (SHARED / "provenance.csv").open(newline="") as stream:
        sizes = {r["ImageID"]: r for r in csv.DictReader(stream)}
    pixels = {(r["ImageID"], r["BoxID"]): int(r["Pixels"]) for r in truth if r["MaskPath"]}
    assert len(summary.unmasked) == sum(not r["MaskPath"] for r in truth)
    assert not summary.dropped
    seen = 0
    for split in ("train", "val"):
        document = load(tmp_path / "out", split)
        images = {i["id"]: i for i in document["images"]}
        for annotation in document["annotations"]:
            image = images[annotation["image_id"]]
            line = sizes[image["open_images_id"]]
            assert (image["width"], image["height"]) == (int(line["Width"]), int(line["Height"]))
            expected = pixels[image["open_images_id"], annotation["box_id"]]
            same_grid = (line["Width"], line["Height"]) == (line["MaskWidth"], line["MaskHeight"])
            assert annotation["area"] == pytest.approx(expected, rel=0.01 if same_grid else 0.06)
            seen += 1
    assert seen == len(pixels)
