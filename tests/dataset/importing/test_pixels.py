"""Imported masks are those of the source, pixel by pixel, in every format."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import label_files
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from label_files import CLASSES, Truth, drawn, expected, objects_of, write_photo

from clothseg.dataset.importing import ImportOptions, import_dataset

WRITERS: dict[str, Callable[[Path, Truth], None]] = {
    "labelme": label_files.write_labelme,
    "supervisely": label_files.write_supervisely,
    "cvat-xml": label_files.write_cvat,
    "masks": label_files.write_masks,
    "voc": label_files.write_voc,
}


@st.composite
def truths(draw: st.DrawFn, *, overlap: bool) -> Truth:
    """Two photos with up to three objects of any form."""
    truth = {}
    for stem in ("one", "two"):
        size = draw(st.tuples(st.integers(2, 14), st.integers(2, 14)))
        objects = []
        taken = np.zeros(size, dtype=bool)
        for _ in range(draw(st.integers(1, 3))):
            mask = draw(arrays(bool, size))
            if not overlap:
                mask, taken = mask & ~taken, taken | mask
            objects.append((draw(st.sampled_from(CLASSES)), mask))
        objects.append(("Jeans", np.arange(size[0] * size[1]).reshape(size) == 1 if overlap else ~taken))
        truth[stem] = objects
    return truth


@pytest.mark.parametrize("form", WRITERS)
@given(data=st.data())
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_masks(form: str, data: st.DataObject, tmp_path: Path) -> None:
    truth = data.draw(truths(overlap=form != "voc"))
    shutil.rmtree(tmp_path / "in", ignore_errors=True)
    WRITERS[form](tmp_path / "in", truth)
    if not any(mask.any() for objects in truth.values() for _, mask in objects):
        return
    summary = import_dataset(tmp_path / "in", tmp_path / "out", ImportOptions(val_fraction=0.5, overwrite=True))
    assert summary.format == form
    assert summary.failed == ()
    assert objects_of(tmp_path / "out") == expected(truth)


SIZE = (40, 60)
STAR = [(5.5, 4.25), (50.0, 10.0), (12.75, 20.0), (44.5, 33.5), (20.0, 38.0)]
HOLE = [(20.0, 12.0), (30.0, 13.0), (22.0, 17.0)]
FLAT = [value for point in STAR for value in point]


def test_polygons_of_yolo_are_drawn_as_coco_draws_them(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    for seed, name in enumerate(("a", "b")):
        write_photo(tmp_path / "images" / f"{name}.jpg", SIZE, seed=seed)
        sides = " ".join(f"{x / SIZE[1]:.9f} {y / SIZE[0]:.9f}" for x, y in STAR)
        (tmp_path / "labels" / f"{name}.txt").write_text(f"1 {sides}\n\n")
    (tmp_path / "data.yaml").write_text("names: [Dress, Jeans]\ntrain: images\n")
    import_dataset(tmp_path, tmp_path / "out")
    assert objects_of(tmp_path / "out")["a"] == [("Jeans", drawn([FLAT], SIZE).tobytes())]


def test_half_pixels_of_a_box_of_yolo_stay_where_they_are(tmp_path: Path) -> None:
    """Six digits of a fraction lie beside half a pixel, which COCO rounds up; polygons had that already."""
    sides = np.random.default_rng(4).integers(0, 2 * np.array(SIZE[::-1] * 2), (40, 4)) / 2
    low, high = np.minimum(sides[:, :2], sides[:, 2:]), np.maximum(sides[:, :2], sides[:, 2:]) + 1
    fractions = np.hstack([(low + high) / 2, high - low]) / (SIZE[1], SIZE[0], SIZE[1], SIZE[0])
    (tmp_path / "labels").mkdir()
    for seed, name in enumerate(("a", "b")):
        write_photo(tmp_path / "images" / f"{name}.jpg", SIZE, seed=seed)
        lines = [f"0 {' '.join(f'{side:.6f}' for side in row)}\n" for row in fractions]
        (tmp_path / "labels" / f"{name}.txt").write_text("".join(lines))
    (tmp_path / "data.yaml").write_text("names: [Dress]\ntrain: images\n")
    import_dataset(tmp_path, tmp_path / "out", ImportOptions(boxes_as_masks=True))
    corners = np.stack([low[:, 0], low[:, 1], high[:, 0], low[:, 1], high[:, 0], high[:, 1], low[:, 0], high[:, 1]], 1)
    want = sorted(("Dress", mask.tobytes()) for row in corners if (mask := drawn([row.tolist()], SIZE)).any())
    assert objects_of(tmp_path / "out")["a"] == want


def test_shapes_of_labelme(tmp_path: Path) -> None:
    shapes: list[dict[str, Any]] = [
        {"label": "polygon", "points": STAR, "shape_type": "polygon", "group_id": None},
        {"label": "rectangle", "points": [[30, 8], [10.0, 3.0]], "shape_type": "rectangle"},
        {"label": "circle", "points": [[20, 20], [20, 28]], "shape_type": "circle"},
        {"label": "part", "points": [[1, 1], [5, 1], [5, 5]], "shape_type": "polygon", "group_id": 7},
        {"label": "part", "points": [[31, 31], [35, 31], [35, 35]], "shape_type": "polygon", "group_id": 7},
        {"label": "point", "points": [[3, 3]], "shape_type": "point"},
        {"label": "line", "points": [[3, 3], [9, 9]], "shape_type": "linestrip"},
    ]
    for seed, name in enumerate(("a", "b")):
        write_photo(tmp_path / f"{name}.jpg", SIZE, seed=seed)
        label_files.write_labelme_file(tmp_path / f"{name}.json", SIZE, shapes)
    summary = import_dataset(tmp_path, tmp_path / "out")
    assert summary.reasons() == {"no_area": 4}
    found = dict(objects_of(tmp_path / "out")["a"])
    assert found["polygon"] == drawn([FLAT], SIZE).tobytes()
    rectangle = np.zeros(SIZE, dtype=bool)
    rectangle[3:8, 10:30] = True
    assert found["rectangle"] == rectangle.tobytes()
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    assert found["circle"] == ((x - 20) ** 2 + (y - 20) ** 2 <= 64).tobytes()
    parts = [[1, 1, 5, 1, 5, 5], [31, 31, 35, 31, 35, 35]]
    assert found["part"] == drawn(parts, SIZE).tobytes()


def test_holes_and_instances_of_supervisely(tmp_path: Path) -> None:
    label_files.write_supervisely(
        tmp_path, {"a": [("Dress", np.ones(SIZE, dtype=bool))], "b": [("Dress", np.ones(SIZE, dtype=bool))]}
    )
    points = {"exterior": STAR, "interior": [HOLE]}
    other = {"exterior": [[1, 30], [9, 30], [9, 39]], "interior": []}
    rows = [
        {"classTitle": "Jeans", "geometryType": "polygon", "points": points, "instance": "k"},
        {"classTitle": "Jeans", "geometryType": "polygon", "points": other, "instance": "k"},
    ]
    import json

    tree = {"size": {"height": SIZE[0], "width": SIZE[1]}, "objects": rows}
    (tmp_path / "ds" / "ann" / "a.jpg.json").write_text(json.dumps(tree))
    import_dataset(tmp_path, tmp_path / "out")
    flat_hole = [value for point in HOLE for value in point]
    want = drawn([FLAT], SIZE) & ~drawn([flat_hole], SIZE) | drawn([[1, 30, 9, 30, 9, 39]], SIZE)
    assert objects_of(tmp_path / "out")["a"] == [("Jeans", want.tobytes())]


@pytest.mark.parametrize("orders", [(0, -1), (-2, -1), (-1, -2), (-3, -3), (2, 1)])
def test_objects_of_cvat_come_from_the_lowest_to_the_topmost(orders: tuple[int, ...], tmp_path: Path) -> None:
    """CVAT sends a shape to the back by an order below 0. An object of several shapes is where its topmost one is."""
    shapes = "".join(
        f'<polygon label="{name}" points="{n},1;9,1;9,9" z_order="{order}" group_id="{n}"/>'
        f'<polygon label="{name}" points="{n},9;9,11;9,19" z_order="-9" group_id="{n}"/>'
        for n, (name, order) in enumerate(zip(CLASSES, orders, strict=True), start=1)
    )
    images = []
    for seed, name in enumerate(("a", "b")):
        write_photo(tmp_path / f"{name}.jpg", SIZE, seed=seed)
        images.append(f'<image id="{seed}" name="{name}.jpg" width="60" height="40">{shapes}</image>')
    (tmp_path / "annotations.xml").write_text(label_files.cvat_file(images))
    import_dataset(tmp_path, tmp_path / "out")
    tree = json.loads((tmp_path / "out" / "annotations" / "train.json").read_text())
    names = {row["id"]: row["name"] for row in tree["categories"]}
    known = list(zip(CLASSES, orders, strict=True))
    assert [names[row["category_id"]] for row in tree["annotations"]] == [
        name for name, _ in sorted(known, key=lambda pair: pair[1])
    ]


def test_shapes_of_cvat(tmp_path: Path) -> None:
    points = ";".join(f"{x},{y}" for x, y in STAR)
    shapes = (
        f'<polygon label="Dress" points="{points}" z_order="2" occluded="1"/>'
        '<polygon label="Jeans" points="1,1;5,1;5,5" group_id="3"/>'
        '<polygon label="Jeans" points="31,31;35,31;35,35" group_id="3"/>'
        '<ellipse label="Dress" cx="30" cy="20" rx="10" ry="4" rotation="90" z_order="1"/>'
        '<box label="Dress" xtl="1" ytl="2" xbr="9" ybr="8"/><polyline label="Dress" points="1,1;2,2"/>'
        '<polygon label="Dress" points="1,1;5,1;5,5" outside="1"/>'
    )
    images = []
    for seed, name in enumerate(("a", "b")):
        write_photo(tmp_path / "images" / "sub" / f"{name}.jpg", SIZE, seed=seed)
        images.append(f'<image id="{seed}" name="sub/{name}.jpg" width="60" height="40">{shapes}</image>')
    (tmp_path / "annotations.xml").write_text(label_files.cvat_file(images))
    summary = import_dataset(tmp_path, tmp_path / "out")
    assert summary.reasons() == {"no_area": 2, "hidden": 2}
    assert sum(counts.boxes for counts in summary.splits.values()) == 2
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    ellipse = ((x - 30) / 4) ** 2 + ((y - 20) / 10) ** 2 <= 1
    parts = drawn([[1, 1, 5, 1, 5, 5], [31, 31, 35, 31, 35, 35]], SIZE)
    want = [("Dress", drawn([FLAT], SIZE).tobytes()), ("Dress", ellipse.tobytes()), ("Jeans", parts.tobytes())]
    assert objects_of(tmp_path / "out")["a"] == sorted(want)
    tree = json.loads((tmp_path / "out" / "annotations" / "train.json").read_text())
    assert [row["bbox"] for row in tree["annotations"] if not row["segmentation"]] == [[1, 2, 8, 6]]
    filled = import_dataset(tmp_path, tmp_path / "filled", ImportOptions(boxes_as_masks=True))
    assert all(counts.boxes == 0 for counts in filled.splits.values())
    box = np.zeros(SIZE, dtype=bool)
    box[2:8, 1:9] = True
    assert ("Dress", box.tobytes()) in objects_of(tmp_path / "filled")["a"]
