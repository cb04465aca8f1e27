"""The page's gallery: every visible finding on its photo, with the annotation as it is in the file."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from decode_gallery import rings
from PIL import Image

from clothseg.dataset.doctor import examine
from clothseg.dataset.doctor.page import write_page

POLYGON = [10.0, 10, 60, 10, 60, 200, 10, 70]


def gallery_of(folder: Path) -> dict[str, Any]:
    """Writes the page and reads the data in it."""
    write_page(examine([folder], min_instances=0), folder / "check.html")
    page = (folder / "check.html").read_text()
    found: dict[str, Any] = json.loads(page.split('type="application/json">')[1].split("</script>")[0])
    return found


def test_a_polygon_outside_is_shown_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "annotations").mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (80, 100, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "images" / "a <b>.png")
    row = {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 100.0}
    tree = {
        "images": [{"id": 1, "file_name": "a <b>.png", "height": 80, "width": 100}],
        "annotations": [row | {"segmentation": [POLYGON], "bbox": [10, 10, 50, 190]}],
        "categories": [{"id": 1, "name": "Suit"}],
    }
    (tmp_path / "annotations" / "train.json").write_text(json.dumps(tree))
    found = gallery_of(tmp_path)
    kinds = [name for name, *_ in found["classes"]]
    assert "mask_outside" in kinds
    (entry,) = [one for one in found["entries"] if one[8][0][0] == kinds.index("mask_outside")]
    assert entry[:3] == ["a <b>.png", 100, 80]
    assert entry[4] == "images/a%20%3Cb%3E.png"
    assert entry[5].startswith("data:image/webp;base64,")
    assert "annotation 1" in entry[7]
    scale = 1024 / 100
    (ring,) = rings(entry[8][0][4])
    corners = {(round(x / scale), round(y / scale)) for x, y in ring.tolist()}
    assert corners == {(10, 10), (60, 10), (60, 200), (10, 70)}
    assert [round(side / scale) for side in entry[8][0][3]] == [10, 10, 50, 190]


def test_two_long_photos_fit_into_one_picture(tmp_path: Path) -> None:
    """WebP holds 16,383 pixels along a side."""
    (tmp_path / "images").mkdir()
    (tmp_path / "annotations").mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (4, 30_000, 3), dtype=np.uint8)
    images = []
    for number, name in enumerate(("a.png", "b.png"), start=1):
        Image.fromarray(noise).save(tmp_path / "images" / name)
        images.append({"id": number, "file_name": name, "height": 4, "width": 30_000})
    tree = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "Suit"}]}
    (tmp_path / "annotations" / "train.json").write_text(json.dumps(tree))
    found = gallery_of(tmp_path)
    (entry,) = [one for one in found["entries"] if "same photo as image 1" in one[7]]
    with Image.open(io.BytesIO(base64.b64decode(entry[5].partition(",")[2]))) as picture:
        assert 12_000 < picture.width <= 16_383
