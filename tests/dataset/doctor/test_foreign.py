"""COCO files as other tools write them: Label Studio, CVAT, Roboflow. Correct files give no findings."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as referee

from clothseg.dataset import CocoLikeDataset
from clothseg.dataset.doctor import Severity, examine, write_cleaned
from clothseg.dataset.doctor.findings import short_names
from clothseg.dataset.doctor.page import write_page

SIZE = (60, 80)  # height, width


def draw(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize(SIZE[::-1], Image.Resampling.BICUBIC).save(path)


def annotation(number: int, image: int, category: int, **more: Any) -> dict[str, Any]:
    polygon = [10.5, 10.25, 40.5, 10.25, 40.5, 50.75, 10.5, 50.75]
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "segmentation": [polygon],
        "bbox": [10.5, 10.25, 30.0, 40.5],
        "area": 1215.0,
        "iscrowd": 0,
    } | more


def kinds(*inputs: Path, images: list[Path] | None = None) -> dict[str, int]:
    return dict(examine(inputs, images or [], min_instances=0).as_dict()["counts"])


def test_label_studio(tmp_path: Path) -> None:
    """Label Studio: `result.json` beside `images/`, all ids from 0, names with a folder, `ignore`."""
    for n in range(3):
        draw(tmp_path / "images" / f"{n}.png", n)
    tree = {
        "images": [{"id": n, "file_name": f"images\\{n}.png", "height": SIZE[0], "width": SIZE[1]} for n in range(3)],
        "categories": [{"id": 0, "name": "Dress"}, {"id": 1, "name": "Suit"}],
        "annotations": [annotation(n, n, n % 2, ignore=0) for n in range(3)],
        "info": {"contributor": "Label Studio"},
    }
    (tmp_path / "result.json").write_text(json.dumps(tree))
    assert kinds(tmp_path) == {"classes_from_zero": 1, "id_below_one": 2}
    cleaned = write_cleaned(examine([tmp_path / "result.json"], min_instances=0), tmp_path / "clean")
    assert (cleaned.photos, cleaned.annotations, cleaned.removed) == (3, 3, ())
    data = CocoLikeDataset().load_data(tmp_path / "clean", "result").prepare()
    assert data.classes == ["Dress", "Suit"]
    assert [data.load_instances(n).classes.tolist() for n in range(3)] == [[1], [2], [1]]
    assert data.load_image(0).shape == (*SIZE, 3)
    rows = json.loads((tmp_path / "clean" / "annotations" / "result.json").read_text())
    assert [row["source_id"] for row in rows["categories"]] == [0, 1]


def test_cvat(tmp_path: Path) -> None:
    """CVAT: `annotations/instances_default.json`, photos in `images/`, attributes, masks as uncompressed RLE."""
    for n in range(2):
        draw(tmp_path / "images" / "default" / f"{n}.png", n)
    mask = np.zeros(SIZE, np.uint8)
    mask[5:30, 20:60] = 1
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat, [0]])))
    runs = np.diff(np.concatenate([[0], edges, [len(flat)]])).tolist()
    runs = runs if sum(runs) == flat.size else runs[:-1]
    brush = annotation(2, 2, 1, segmentation={"size": list(SIZE), "counts": runs}, bbox=[20, 5, 40, 25], area=1000.0)
    tree = {
        "licenses": [{"name": "", "id": 0, "url": ""}],
        "categories": [{"id": 1, "name": "Dress", "supercategory": ""}],
        "images": [
            {
                "id": n + 1,
                "width": SIZE[1],
                "height": SIZE[0],
                "file_name": f"{n}.png",
                "license": 0,
                "date_captured": 0,
            }
            for n in range(2)
        ],
        "annotations": [annotation(1, 1, 1, attributes={"occluded": False}), brush],
    }
    (tmp_path / "annotations").mkdir()
    file = tmp_path / "annotations" / "instances_default.json"
    file.write_text(json.dumps(tree))
    assert kinds(tmp_path) == {}
    assert kinds(file) == {}
    assert kinds(file, images=[tmp_path]) == {"missing_photo": 2}
    assert kinds(file, images=[tmp_path / "images" / "default"]) == {}


def test_roboflow(tmp_path: Path) -> None:
    """Roboflow: a folder for each split, photos beside `_annotations.coco.json`. Two splits may use one file name."""
    for seed, split in enumerate(("train", "valid")):
        draw(tmp_path / split / "a.png", seed)
        tree = {
            "categories": [{"id": 1, "name": "Dress"}],
            "images": [{"id": 0, "file_name": "a.png", "height": SIZE[0], "width": SIZE[1]}],
            "annotations": [annotation(1, 0, 1)],
        }
        (tmp_path / split / "_annotations.coco.json").write_text(json.dumps(tree))
    diagnosis = examine([tmp_path], min_instances=0)
    assert [s.name for s in diagnosis.splits] == ["train", "valid"]
    assert {f.kind for f in diagnosis.findings} == {"id_below_one"}
    write_cleaned(diagnosis, tmp_path / "clean")
    for split in ("train", "valid"):
        data = CocoLikeDataset().load_data(tmp_path / "clean", split).prepare()
        with Image.open(tmp_path / split / "a.png") as photo:
            assert np.array_equal(data.load_image(0), np.asarray(photo))
    assert examine([tmp_path / "clean"], min_instances=0).findings == ()


def test_ids_as_strings_and_masks_of_the_wrong_kind(tmp_path: Path) -> None:
    """In the cleaned copy, string ids become numbers, and annotations stay with their photos."""
    draw(tmp_path / "images" / "a.png", 0)
    draw(tmp_path / "images" / "b.png", 1)
    rle = referee.encode(np.asfortranarray(np.eye(*SIZE, dtype=np.uint8)))
    tree = {
        "categories": [{"id": "dress", "name": "Dress"}],
        "images": [
            {"id": f"00{n}e7", "file_name": f"{n}.png", "height": SIZE[0], "width": SIZE[1]} for n in ("a", "b")
        ],
        "annotations": [
            annotation(1, 0, 0) | {"id": "x1", "image_id": "00be7", "category_id": "dress"},
            annotation(1, 0, 0)
            | {"id": "x2", "image_id": "00ae7", "category_id": "dress"}
            | {"segmentation": {"size": list(SIZE), "counts": [*rle["counts"], 70]}},
        ],
    }
    (tmp_path / "a.json").write_text(json.dumps(tree))
    diagnosis = examine([tmp_path / "a.json"], min_instances=0)
    assert {f.kind for f in diagnosis.findings} == {"id_not_whole", "broken_rle"}
    write_cleaned(diagnosis, tmp_path / "clean")
    data = CocoLikeDataset().load_data(tmp_path / "clean", "a").prepare()
    assert [len(data.load_instances(n)) for n in range(2)] == [0, 1]
    assert [e.path.name for e in data.images] == ["a.png", "b.png"]


def test_polygon_areas_and_boxes_of_coco_are_no_faults(tmp_path: Path) -> None:
    """In COCO, a polygon's area is that of its outline, and its box is that of its corners."""
    draw(tmp_path / "images" / "a.png", 0)
    shapes = [
        [[20.0, 5.0, 60.0, 50.0, 5.0, 30.0]],
        [[5.2, 5.2, 12.9, 6.1, 8.3, 14.4]],
        [[10.0, 10.0, 30.0, 10.0, 30.0, 30.0, 10.0, 30.0], [50.0, 40.0, 70.0, 40.0, 60.0, 55.0]],
    ]
    rows = []
    for number, polygons in enumerate(shapes, 1):
        corners = np.concatenate([np.reshape(p, (-1, 2)) for p in polygons])
        low, side = corners.min(axis=0), np.ptp(corners, axis=0)
        area = 0.0
        for polygon in polygons:
            x, y = np.reshape(polygon, (-1, 2)).T
            area += 0.5 * abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1)))
        box = [float(v) for v in (*low, *side)]
        rows.append(annotation(number, 1, 1, segmentation=polygons, bbox=box, area=area))
    tree = {
        "categories": [{"id": 1, "name": "Dress"}],
        "images": [{"id": 1, "file_name": "a.png", "height": SIZE[0], "width": SIZE[1]}],
        "annotations": rows,
    }
    (tmp_path / "a.json").write_text(json.dumps(tree))
    assert kinds(tmp_path) == {}


@pytest.mark.parametrize(("size", "orientation", "kind"), [((60, 80), 6, "exif_rotation"), ((80, 60), 6, None)])
def test_a_photo_that_exif_turns(size: tuple[int, int], orientation: int, kind: str | None, tmp_path: Path) -> None:
    """Masks of the stored pixels are a fault, masks of the upright photo are not."""
    draw(tmp_path / "images" / "plain.png", 0)
    with Image.open(tmp_path / "images" / "plain.png") as photo:
        exif = photo.getexif()
        exif[0x0112] = orientation
        photo.save(tmp_path / "images" / "a.jpg", exif=exif)
    tree = {
        "categories": [{"id": 1, "name": "Dress"}],
        "images": [{"id": 1, "file_name": "a.jpg", "height": size[0], "width": size[1]}],
        "annotations": [annotation(1, 1, 1)],
    }
    (tmp_path / "a.json").write_text(json.dumps(tree))
    found = examine([tmp_path / "a.json"], min_instances=0).findings
    assert [f.kind for f in found] == ([kind] if kind else [])
    assert all(f.severity == Severity.ERROR for f in found)


TINY_SQUARE = [30.0, 30.0, 32.0, 30.0, 32.0, 32.0, 30.0, 32.0]
TRIANGLE = [10.0, 10.0, 50.0, 10.0, 10.0, 50.0]


@pytest.mark.parametrize("form", ["polygon", "rle"])
@pytest.mark.parametrize("polygon", [TINY_SQUARE, TRIANGLE], ids=["tiny", "triangle"])
@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (lambda pixels, box: pixels, None),
        (lambda pixels, box: float(pixels), None),
        (lambda pixels, box: box, "wrong_area"),
        (lambda pixels, box: 0, "wrong_area"),
        (lambda pixels, box: 0.0, "wrong_area"),
        (lambda pixels, box: 1e12, "wrong_area"),
        (lambda pixels, box: -5, "missing_figure"),
        (lambda pixels, box: None, "missing_figure"),
        (lambda pixels, box: "wide", "missing_figure"),
        (lambda pixels, box: str(pixels), "number_form"),
        (lambda pixels, box: float("nan"), "missing_figure"),
    ],
    ids=["pixels", "float", "box", "0", "0.0", "huge", "negative", "null", "word", "text", "nan"],
)
def test_an_area_that_is_wrong_is_found_and_corrected(
    given: Any, kind: str | None, polygon: list[float], form: str, tmp_path: Path
) -> None:
    draw(tmp_path / "images" / "a.png", 0)
    rle = referee.merge(referee.frPyObjects([polygon], *SIZE))
    pixels = int(referee.area(rle))
    left, top, right, bottom = polygon[0], polygon[1], max(polygon[::2]), max(polygon[1::2])
    box = [left, top, right - left, bottom - top]
    area = given(pixels, box[2] * box[3])
    if kind == "wrong_area" and area == pixels:
        kind = None  # the square fills its box
    shape: Any = [polygon] if form == "polygon" else {"size": list(SIZE), "counts": rle["counts"].decode()}
    tree = {
        "categories": [{"id": 1, "name": "Dress"}],
        "images": [{"id": 1, "file_name": "a.png", "height": SIZE[0], "width": SIZE[1]}],
        "annotations": [annotation(1, 1, 1, segmentation=shape, bbox=box, area=area)],
    }
    (tmp_path / "a.json").write_text(json.dumps(tree))
    diagnosis = examine([tmp_path], min_instances=0)
    assert dict(diagnosis.as_dict()["counts"]) == ({kind: 1} if kind else {})
    assert all(finding.severity is not Severity.ERROR for finding in diagnosis.findings)
    assert write_cleaned(diagnosis, tmp_path / "clean").annotations == 1
    rows = json.loads((tmp_path / "clean" / "annotations" / "a.json").read_text())["annotations"]
    assert [row["area"] for row in rows] == [pixels]


def test_findings_name_the_folder_of_files_that_have_one_name(tmp_path: Path) -> None:
    """Roboflow: each split has an `_annotations.coco.json`; a message must say which of them it means."""
    for seed, split in enumerate(("train", "valid")):
        draw(tmp_path / split / "0.png", seed)
        tree = {
            "images": [{"id": 1, "file_name": "0.png", "height": SIZE[0], "width": SIZE[1]}],
            "categories": [{"id": 1, "name": " Dress"}],
            "annotations": [annotation(1, 1, 1, area=3.0)],
        }
        (tmp_path / split / "_annotations.coco.json").write_text(json.dumps(tree))
    found = examine([tmp_path], min_instances=0).findings
    texts = {f"{finding.location.text()}: {finding.message}" for finding in found if finding.kind != "wrong_area"}
    assert texts == {
        f"{split}/_annotations.coco.json, categories[0]: the name ' Dress' becomes 'Dress'"
        for split in ("train", "valid")
    }
    places = {finding.location.text() for finding in found if finding.kind == "wrong_area"}
    assert places == {f"{split}/_annotations.coco.json, annotation 1, 0.png" for split in ("train", "valid")}
    write_page(examine([tmp_path], min_instances=0), tmp_path / "check.html")
    assert "train/_annotations.coco.json, annotation 1, 0.png" in (tmp_path / "check.html").read_text(encoding="utf-8")


def test_short_names_have_as_many_folders_as_needed() -> None:
    files = [Path(name) for name in ("a/annotations/x.json", "b/annotations/x.json", "b/y.json", "x.json")]
    assert list(short_names(files).values()) == ["a/annotations/x.json", "b/annotations/x.json", "y.json", "x.json"]
    assert short_names([Path("train.json")]) == {Path("train.json"): "train.json"}
