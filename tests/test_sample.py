"""The included sample: small, complete, and equal to what its script makes."""

import csv
import importlib.util
import io
import json
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from clothseg import sample

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data" / "ccp-openimages"
GARMENTS = {"/m/01xyhv", "/m/01d40f", "/m/0fly7"}


def rows(name: str) -> list[dict[str, str]]:
    with (sample.folder() / name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_it_has_at_most_5_megabytes_and_names_its_origin() -> None:
    files = [p for p in sample.folder().rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    assert sum(p.stat().st_size for p in files) <= 5_000_000
    assert "Apache License" in (sample.folder() / "LICENSE.ccp").read_text()
    text = (sample.folder() / "README.md").read_text()
    assert "CVPR 2014" in text
    assert "CC BY 4.0" in text


@pytest.mark.parametrize(("split", "least"), [("train", 35), ("validation", 7)])
def test_every_class_has_enough_objects_and_there_are_distractors(split: str, least: int) -> None:
    masks = rows(f"{split}-annotations-object-segmentation.csv")
    for mid in GARMENTS:
        assert sum(r["LabelName"] == mid for r in masks) >= least
    assert len({r["LabelName"] for r in masks} - GARMENTS) >= 5
    photos = {p.stem for p in (sample.folder() / split).glob("*.jpg")}
    assert {r["ImageID"] for r in masks} <= photos == {r["ImageID"] for r in rows(f"{split}-annotations-bbox.csv")}
    listed = "train-images-boxable" if split == "train" else "validation-images"
    assert {r["ImageID"] for r in rows(f"{listed}-with-rotation.csv")} == photos


@pytest.mark.parametrize("split", ["train", "validation"])
def test_mask_rows_and_members_of_the_archives_agree(split: str) -> None:
    other_size = 0
    members: set[str] = set()
    for path in sorted((sample.folder() / f"{split}-masks").glob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            assert all(f"{split}-masks-{name[0]}.zip" == path.name for name in archive.namelist())
            members.update(archive.namelist())
            for name in archive.namelist():
                with (
                    Image.open(io.BytesIO(archive.read(name))) as mask,
                    Image.open(sample.folder() / split / f"{name[:16]}.jpg") as photo,
                ):
                    assert photo.width == 367
                    assert mask.width / mask.height == pytest.approx(photo.width / photo.height, abs=0.01)
                    other_size += mask.size != photo.size
    assert members == {r["MaskPath"] for r in rows(f"{split}-annotations-object-segmentation.csv")}
    assert other_size > 0.9 * len(members)


def test_a_chosen_class_has_a_box_without_mask() -> None:
    boxes = sum(r["LabelName"] in GARMENTS for r in rows("train-annotations-bbox.csv"))
    masks = sum(r["LabelName"] in GARMENTS for r in rows("train-annotations-object-segmentation.csv"))
    assert boxes > masks


def test_the_class_files_are_those_of_open_images() -> None:
    tree = json.loads((sample.folder() / "bbox_labels_600_hierarchy.json").read_text())
    assert tree["LabelName"] == "/m/0bl9f"
    assert (sample.folder() / "class-descriptions-boxable.csv").stat().st_size == 12011


@pytest.mark.skipif(not SHARED.is_dir(), reason="the larger photo set is not beside this clone")
def test_the_script_makes_the_same_sample(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("cut_sample", ROOT / "scripts" / "cut_sample.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.cut(SHARED, tmp_path)
    here = {p.relative_to(tmp_path).as_posix(): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    for name, data in here.items():
        # Another release of Pillow may encode JPEGs differently; everything else is byte-identical.
        if not name.endswith(".jpg"):
            assert (sample.folder() / name).read_bytes() == data, name
    photos = {p.relative_to(sample.folder()).as_posix() for p in sample.folder().rglob("*.jpg")}
    assert {name for name in here if name.endswith(".jpg")} == photos
