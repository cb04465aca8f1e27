"""Files for labelling tools, read by pycocotools, by a decoder of brush strokes, and by `CocoLikeDataset`."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree as Xml

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as referee
from pycocotools.coco import COCO

from clothseg.dataset import CocoLikeDataset
from clothseg.dataset.label_studio_rle import encode_label_studio_rle
from clothseg.dataset.prelabel_files import LabelFormat, write_prelabels
from clothseg.dataset.prelabels import coco_file, label_studio_tasks, short_names
from clothseg.errors import DataError
from clothseg.instances import CocoCategory, CocoImage, CocoResult, encode
from clothseg.instances.rle import BoolMask

CATEGORIES: list[CocoCategory] = [{"id": 1, "name": "Suit"}, {"id": 2, "name": 'Dress "long" & <wide>'}]
IMAGE: CocoImage = {"id": 1, "file_name": "a.png", "width": 80, "height": 60}


def blob(seed: int, size: tuple[int, int] = (60, 80)) -> np.ndarray:
    """A mask with several parts and a hole."""
    generator = np.random.default_rng(seed)
    mask = np.zeros(size, bool)
    y, x = np.mgrid[: size[0], : size[1]]
    for _ in range(2):
        cy, cx = generator.uniform(0.3, 0.7, 2) * size
        mask |= np.hypot(y - cy, x - cx) < generator.uniform(10, 20)
        mask &= np.hypot(y - cy, x - cx) > 4
    return mask


def prediction(folder: Path, names: Sequence[str] = ("a.png", "b.png")) -> list[np.ndarray]:
    """Writes the files of `clothseg predict`: two masks on the first photo, none on the second."""
    folder.mkdir(parents=True, exist_ok=True)
    masks = [blob(0), blob(1)]
    images = [{"id": n, "file_name": name, "width": 80, "height": 60} for n, name in enumerate(names, start=1)]
    results = [
        {
            "image_id": 1,
            "category_id": label,
            "bbox": [0, 0, 5, 5],
            "score": 0.9 - label / 10,
            "segmentation": encode(m),
        }
        for label, m in zip((2, 1), masks, strict=True)
    ]
    results.append({"image_id": 1, "category_id": 1, "score": 0.5, "segmentation": encode(np.zeros((60, 80), bool))})
    (folder / "images.json").write_text(json.dumps({"images": images, "categories": CATEGORIES}))
    (folder / "predictions.json").write_text(json.dumps(results))
    return masks


def detection(mask: BoolMask, image_id: int = 1, category_id: int = 1) -> CocoResult:
    return {"image_id": image_id, "category_id": category_id, "score": 1.0, "segmentation": encode(mask)}


def unpacked(data: Sequence[int]) -> np.ndarray:
    """Decodes `@thi.ng/rle-pack` bit by bit, as its documentation says."""
    bits = "".join(f"{byte:08b}" for byte in data)
    at = 0

    def take(count: int) -> int:
        nonlocal at
        at += count
        assert at <= len(bits)
        return int(bits[at - count : at], 2)

    number, word = take(32), take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < number:
        repeated = take(1)
        length = take(sizes[take(2)]) + 1
        values += [take(word)] * length if repeated else [take(word) for _ in range(length)]
    assert len(values) == number
    assert len(bits) - at < 8
    return np.array(values)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_brush_strokes_are_decoded_to_the_mask(height: int, width: int, seed: int, share: float) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < share
    picture = unpacked(encode_label_studio_rle(mask)).reshape(height, width, 4)
    assert np.array_equal(picture[..., 3], mask * 255)


def test_long_brush_strokes() -> None:
    mask = np.ones((300, 200), bool)
    assert (unpacked(encode_label_studio_rle(mask)) == 255).all()


def test_coco_with_polygons_and_with_rle(tmp_path: Path) -> None:
    masks = prediction(tmp_path)
    lost = write_prelabels(tmp_path, [LabelFormat.COCO, LabelFormat.COCO_RLE], tolerance=1.0)
    assert lost is not None
    assert lost.masks == 2
    assert 0.9 < lost.worst_iou <= lost.mean_iou <= 1
    for form, least in (("coco", lost.worst_iou - 1e-9), ("coco-rle", 1.0)):
        theirs = COCO(str(tmp_path / f"labels-{form}.json"))
        rows = theirs.loadAnns(theirs.getAnnIds())
        assert [row["id"] for row in rows] == [1, 2]
        assert [row["category_id"] for row in rows] == [2, 1]
        assert [row["attributes"]["score"] for row in rows] == pytest.approx([0.7, 0.8])
        for row, mask in zip(rows, masks, strict=True):
            drawn = theirs.annToMask(row).astype(bool)
            assert np.count_nonzero(drawn & mask) / np.count_nonzero(drawn | mask) >= least
            assert isinstance(row["segmentation"], list if form == "coco" else dict)
            assert row["area"] == mask.sum()
            assert row["bbox"] == referee.toBbox(referee.encode(np.asfortranarray(mask, np.uint8))).tolist()


def test_polygons_without_tolerance_are_exact() -> None:
    results = [detection(blob(n)) for n in range(4)]
    _, lost = coco_file([IMAGE], CATEGORIES, results, tolerance=0.0)
    assert lost is not None
    assert lost.worst_iou == 1.0
    _, coarse = coco_file([IMAGE], CATEGORIES, results, tolerance=3.0)
    assert coarse is not None
    assert coarse.worst_iou < 1.0
    assert coarse.points < lost.points


def test_one_pixel_becomes_a_polygon() -> None:
    mask = np.zeros((60, 80), bool)
    mask[7, 9] = True
    tree, lost = coco_file([IMAGE], CATEGORIES, [detection(mask)], tolerance=2.0)
    assert lost is not None
    assert lost.worst_iou == 1.0
    assert len(tree["annotations"][0]["segmentation"][0]) >= 6


def test_detections_of_unknown_images_or_classes_are_errors() -> None:
    with pytest.raises(DataError, match="image 3, class 1"):
        coco_file([IMAGE], CATEGORIES, [detection(blob(0), image_id=3)])
    with pytest.raises(DataError, match="image 1, class 7"):
        coco_file([IMAGE], CATEGORIES, [detection(blob(0), category_id=7)])


def test_photos_are_named_below_their_common_folder() -> None:
    assert short_names(["/home/me/p/a.jpg", "/home/me/p/b.jpg"]) == ["a.jpg", "b.jpg"]
    assert short_names(["p/x/a.jpg", "p/y/a.jpg"]) == ["x/a.jpg", "y/a.jpg"]
    assert short_names(["p/a.jpg", "p/y/a.jpg"]) == ["a.jpg", "y/a.jpg"]
    assert short_names(["a.jpg", "y/a.jpg"]) == ["a.jpg", "y/a.jpg"]
    assert short_names([]) == []


def test_label_studio(tmp_path: Path) -> None:
    masks = prediction(tmp_path)
    assert write_prelabels(tmp_path, [LabelFormat.LABEL_STUDIO], photos_url="/data/local-files/?d=p/") is None
    tasks = json.loads((tmp_path / "labels-label-studio.json").read_text())
    assert [task["data"]["image"] for task in tasks] == ["/data/local-files/?d=p/a.png", "/data/local-files/?d=p/b.png"]
    regions = tasks[0]["predictions"][0]["result"]
    assert tasks[1]["predictions"][0]["result"] == []
    view = Xml.parse(tmp_path / "labels-label-studio.xml").getroot()
    tag, image = view.find("BrushLabels"), view.find("Image")
    assert tag is not None
    assert image is not None
    assert image.get("value") == "$image"
    offered = [label.get("value") for label in tag]
    for region, mask in zip(regions, masks, strict=True):
        assert (region["from_name"], region["to_name"]) == (tag.get("name"), image.get("name")) == ("garment", "image")
        assert (region["original_height"], region["original_width"]) == mask.shape
        assert np.array_equal(unpacked(region["value"]["rle"]).reshape(*mask.shape, 4)[..., 3] > 0, mask)
        assert region["value"]["brushlabels"][0] in offered


def test_label_studio_goes_through_the_detections_once() -> None:
    """A loop over all detections for each photo takes hours for a catalogue."""
    turns = 0

    class Counted(list[CocoResult]):
        def __iter__(self) -> Iterator[CocoResult]:
            nonlocal turns
            turns += 1
            return super().__iter__()

    images: list[CocoImage] = [IMAGE | {"id": number, "file_name": f"{number}.png"} for number in (3, 1, 2)]
    mask = encode(np.ones((60, 80), bool))
    results = Counted(
        {"image_id": photo, "category_id": label, "score": 0.5, "segmentation": mask}
        for photo, label in ((1, 2), (3, 1), (1, 1), (3, 2), (1, 2))
    )
    tasks = label_studio_tasks(images, CATEGORIES, results, photos_url="", model="m")
    found = {
        task["data"]["image"]: [region["value"]["brushlabels"][0] for region in task["predictions"][0]["result"]]
        for task in tasks
    }
    names = {row["id"]: row["name"] for row in CATEGORIES}
    assert found == {"3.png": [names[1], names[2]], "1.png": [names[2], names[1], names[2]], "2.png": []}
    assert turns == 1


def test_addresses_for_label_studio_lead_to_the_photo() -> None:
    """A browser cuts an address at #, and reads + in a query as a space."""
    names = ["a.png", "look #2 & 3.png", "50%+ sale?.png", "d/Röcke 裙子.png"]
    images: list[CocoImage] = [IMAGE | {"id": n, "file_name": f"/p/{name}"} for n, name in enumerate(names)]

    def addresses(prefix: str) -> list[str]:
        return [
            task["data"]["image"] for task in label_studio_tasks(images, CATEGORIES, [], photos_url=prefix, model="m")
        ]

    local = [urlsplit(address) for address in addresses("/data/local-files/?d=photos/")]
    assert [(one.path, parse_qs(one.query), one.fragment) for one in local] == [
        ("/data/local-files/", {"d": [f"photos/{name}"]}, "") for name in names
    ]
    web = [urlsplit(address) for address in addresses("https://example.com/photos/")]
    assert [(unquote(one.path), one.query, one.fragment) for one in web] == [
        (f"/photos/{name}", "", "") for name in names
    ]
    assert addresses("s3://bucket/") == [f"s3://bucket/{name}" for name in names]


def test_an_export_of_cvat_is_a_data_set(tmp_path: Path) -> None:
    """CVAT exports `instances_default.json` with folders in names, attributes, more keys, polygons and run lengths."""
    names = ["summer/a.png", "winter/b.png"]
    masks = prediction(tmp_path / "found", names)
    write_prelabels(tmp_path / "found", [LabelFormat.COCO])
    tree: dict[str, Any] = json.loads((tmp_path / "found" / "labels-coco.json").read_text())
    tree |= {"licenses": [{"name": "", "id": 0, "url": ""}], "info": {"contributor": "", "year": ""}}
    for row in tree["images"]:
        row |= {"license": 0, "flickr_url": "", "coco_url": "", "date_captured": 0}
    for row in tree["annotations"]:
        row["attributes"] = {"occluded": False, "score": row.pop("score")}
    flat = masks[1].ravel(order="F").astype(np.int8)
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *edges, flat.size]).tolist()
    counts = [0, *counts] if flat[0] else counts
    tree["annotations"].append(
        {
            "id": 3,
            "image_id": 2,
            "category_id": 1,
            "segmentation": {"counts": counts, "size": [60, 80]},
            "bbox": [1, 1, 1, 1],
            "area": 1,
            "iscrowd": 0,
            "attributes": {"occluded": False},
        }
    )
    back = tmp_path / "back"
    for name in names:
        (back / "images" / name).parent.mkdir(parents=True)
        Image.new("RGB", (80, 60)).save(back / "images" / name)
    (back / "annotations").mkdir()
    file = back / "annotations" / "instances_default.json"
    file.write_text(json.dumps(tree))
    data = CocoLikeDataset().load_data(back, annotations=file).prepare()
    assert data.load_image(1).shape == (60, 80, 3)
    first, second = data.load_instances(0), data.load_instances(1)
    assert first.classes.tolist() == [2, 1]
    for found, mask in zip(
        [*first.masks.pixels().numpy(), *second.masks.pixels().numpy()], [*masks, masks[1]], strict=True
    ):
        assert np.count_nonzero(found & mask) / np.count_nonzero(found | mask) > 0.9
    assert np.array_equal(second.masks.pixels()[0].numpy(), masks[1])
