"""A whole build on tiny folders and on real photos; pycocotools and Pillow are the referees."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pycocotools import mask as referee
from pycocotools.coco import COCO

from clothseg import sample
from clothseg.errors import ClothsegError, DataError
from clothseg.openimages import BuildOptions, build_dataset
from clothseg.openimages.build.work_folder import WorkFolder

A, B, C, D = "1" * 16, "12345678e9012345", "f00000000000000f", "2" * 16
SUIT, DRESS = "/m/01xyhv", "/m/01d40f"
SHARED = Path(__file__).parents[3].parent / "shared" / "data" / "ccp-openimages"
A, B, C = "1" * 16, "12345678e9012345", "f00000000000000f"
SUIT, DRESS, SUITCASE = "/m/01xyhv", "/m/01d40f", "/m/01s55n"


def test_ids_categories_and_provenance(good: Any, tmp_path: Path, load: Any, described: Any) -> None:
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


def test_other_files_at_the_place_are_kept(good: Any, tmp_path: Path, load: Any) -> None:
    source = good.write()
    out = tmp_path / "out"
    out.mkdir()
    (out / "diary.txt").write_text("mine")
    with pytest.raises(ClothsegError, match="exists already"):
        build_dataset(source, out, ["Suit"])
    with pytest.raises(ClothsegError, match="not a dataset"):
        build_dataset(source, out, ["Suit"], BuildOptions(overwrite=True))
    with pytest.raises(ClothsegError, match="contains the source"):
        build_dataset(source, source, ["Suit"], BuildOptions(overwrite=True))
    assert (out / "diary.txt").read_text() == "mine"
    (out / "diary.txt").unlink()
    build_dataset(source, out, ["Suit"])
    build_dataset(source, out, ["Dress", "Suit"], BuildOptions(overwrite=True))
    assert len(load(out)["categories"]) == 2


def test_an_interrupted_build_keeps_the_old_data_set(
    good: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digests: Any
) -> None:
    source = good.write()
    build_dataset(source, tmp_path / "out", ["Suit"])
    before = digests(tmp_path / "out")

    def stop(photos: Iterable[Any], _: int, __: str) -> Iterator[Any]:
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

    def count(photos: Iterable[Any], _: int, __: str) -> Iterator[Any]:
        for photo in photos:
            converted.append(photo)
            yield photo

    build_dataset(source, tmp_path / "out", ["Suit", "Dress"], BuildOptions(overwrite=True), progress=count)
    assert converted == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "source"]
    build_dataset(source, tmp_path / "fresh", ["Suit", "Dress"])
    assert digests(tmp_path / "out") == digests(tmp_path / "fresh")


def test_a_photo_that_changed_since_the_interruption_is_converted_again(good: Any, tmp_path: Path) -> None:
    def stop(photos: Any, _: int, __: str) -> Any:
        yield from photos
        raise KeyboardInterrupt

    source = good.write()
    (source / "train" / f"{A}.jpg").rename(tmp_path / "away.jpg")
    with pytest.raises(KeyboardInterrupt):
        build_dataset(source, tmp_path / "out", ["Suit", "Dress"], progress=stop)
    (tmp_path / "away.jpg").rename(source / "train" / f"{A}.jpg")
    assert build_dataset(source, tmp_path / "out", ["Suit", "Dress"]).train.masks == 3


def test_a_second_build_for_the_same_place_is_refused(good: Any, tmp_path: Path) -> None:
    source = good.write()
    with WorkFolder(tmp_path / "out").open({}), pytest.raises(ClothsegError, match="another build"):
        build_dataset(source, tmp_path / "out", ["Suit"])


def test_builds_are_byte_identical_for_any_order_of_rows(good: Any, tmp_path: Path, digests: Any) -> None:
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


def test_pycocotools_reads_the_sample(tmp_path: Path) -> None:
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
def test_the_larger_set_agrees_with_its_provenance(tmp_path: Path, load: Any) -> None:
    summary = build_dataset(SHARED, tmp_path / "out", ["Suit", "Dress", "Jeans"])
    with (SHARED / "provenance-boxes.csv").open(newline="") as stream:
        truth = [r for r in csv.DictReader(stream) if r["Class"] in summary.classes and r["Split"] != "test"]
    with (SHARED / "provenance.csv").open(newline="") as stream:
        sizes = {r["ImageID"]: r for r in csv.DictReader(stream)}
    pixels = {(r["ImageID"], r["BoxID"]): int(r["Pixels"]) for r in truth if r["MaskPath"]}
    assert len(summary.boxes_without_mask) == sum(not r["MaskPath"] for r in truth)
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
