"""Exported files have the same masks as the dataset, except for the losses that are counted."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from label_files import CLASSES, Mask, objects_of, write_photo
from PIL import Image
from pycocotools import mask as pycoco

from clothseg.dataset import CocoLikeDataset
from clothseg.dataset.doctor import examine
from clothseg.dataset.exporting import ExportFormat, ExportOptions, export_dataset
from clothseg.dataset.importing import import_dataset
from clothseg.dataset.importing.label_maps import voc_colour
from clothseg.errors import ClothsegError, DataError
from clothseg.instances.class_names import wrong_class_names

SIZE = (13, 17)


def write_dataset(
    root: Path,
    photos: dict[str, list[tuple[str, Mask]]],
    crowds: tuple[int, ...] = (),
    classes: Sequence[str] = CLASSES,
) -> None:
    """A COCO dataset with the first photo in train and the others in val. `crowds` are ids of annotations."""
    shutil.rmtree(root, ignore_errors=True)
    (root / "annotations").mkdir(parents=True)
    names = list(photos)
    number = 0
    for split, stems in (("train", names[:1]), ("val", names[1:])):
        images, rows = [], []
        for image_id, stem in enumerate(stems, start=1):
            size = photos[stem][0][1].shape
            write_photo(root / "images" / f"{stem}.jpg", (size[0], size[1]), seed=names.index(stem))
            images.append({"id": image_id, "file_name": f"{stem}.jpg", "height": size[0], "width": size[1]})
            for name, mask in photos[stem]:
                number += 1
                rle = pycoco.encode(np.asfortranarray(mask.astype(np.uint8)))
                rle["counts"] = rle["counts"].decode()
                rows.append({
                    "id": number, "image_id": image_id, "category_id": classes.index(name) + 1, "segmentation": rle,
                    "area": int(mask.sum()), "bbox": pycoco.toBbox(rle).tolist(), "iscrowd": int(number in crowds),
                })  # fmt: skip
        categories = [{"id": n, "name": name} for n, name in enumerate(classes, start=1)]
        tree = {"images": images, "annotations": rows, "categories": categories}
        (root / "annotations" / f"{split}.json").write_text(json.dumps(tree))


MASKS = arrays(bool, SIZE).filter(lambda mask: bool(mask.any()))
OBJECTS = st.lists(st.tuples(st.sampled_from(CLASSES), MASKS), min_size=1, max_size=3)
SETTINGS = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(one=OBJECTS, two=OBJECTS)
@SETTINGS
def test_there_and_back_through_yolo(one: list[tuple[str, Mask]], two: list[tuple[str, Mask]], tmp_path: Path) -> None:
    """Holes, parts that touch and single pixels: all come back exactly."""
    write_dataset(tmp_path / "data", {"a": one, "b": two})
    options = ExportOptions(format="yolo", overwrite=True)
    shutil.rmtree(tmp_path / "back", ignore_errors=True)
    summary = export_dataset(tmp_path / "data", tmp_path / "yolo", options)
    assert "moved_outlines" not in summary.losses
    assert summary.objects == {"train": len(one), "val": len(two)}
    imported = import_dataset(tmp_path / "yolo", tmp_path / "back")
    assert imported.failed == ()
    assert objects_of(tmp_path / "back") == objects_of(tmp_path / "data")


@given(one=OBJECTS, two=OBJECTS)
@SETTINGS
def test_label_maps_lose_what_is_covered(
    one: list[tuple[str, Mask]], two: list[tuple[str, Mask]], tmp_path: Path
) -> None:
    write_dataset(tmp_path / "data", {"a": one, "b": two})
    shutil.rmtree(tmp_path / "back", ignore_errors=True)
    summary = export_dataset(tmp_path / "data", tmp_path / "maps", ExportOptions(format="label-maps", overwrite=True))
    want, hidden, covered, pixels = {}, 0, 0, 0
    for stem, objects in {"a": one, "b": two}.items():
        left = []
        for place, (name, mask) in enumerate(objects):
            later = np.any([other for _, other in objects[place + 1 :]] or [np.zeros(SIZE, dtype=bool)], axis=0)
            visible = mask & ~later
            hidden += not visible.any()
            covered += bool(visible.any() and visible.sum() < mask.sum())
            left += [(name, visible.tobytes())] if visible.any() else []
        pixels += int((np.sum([mask for _, mask in objects], axis=0) > 1).sum())
        want[stem] = sorted(left)
    counted = {"hidden_objects": hidden, "covered_objects": covered, "covered_pixels": pixels}
    assert summary.losses == {name: count for name, count in counted.items() if count}
    import_dataset(tmp_path / "maps", tmp_path / "back")
    assert objects_of(tmp_path / "back") == want


@pytest.mark.parametrize("rle", [False, True])
@given(one=OBJECTS, two=OBJECTS)
@SETTINGS
def test_coco_is_exact(rle: bool, one: list[tuple[str, Mask]], two: list[tuple[str, Mask]], tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", {"a": one, "b": two})
    export_dataset(tmp_path / "data", tmp_path / "coco", ExportOptions(rle=rle, overwrite=True))
    for path in (tmp_path / "coco" / "annotations").glob("*.json"):
        tree = json.loads(path.read_text())
        for row in tree["annotations"]:
            assert isinstance(row["segmentation"], dict) is rle
            if not rle:
                merged = pycoco.merge(pycoco.frPyObjects(row["segmentation"], *SIZE))
                row["segmentation"] = {"size": merged["size"], "counts": merged["counts"].decode()}
        path.write_text(json.dumps(tree))
    assert objects_of(tmp_path / "coco") == objects_of(tmp_path / "data")


RING = np.zeros(SIZE, dtype=bool)
RING[1:9, 1:9] = True
RING[4:6, 4:6] = False
TWO = np.zeros(SIZE, dtype=bool)
TWO[10:12, 1:4] = TWO[10:12, 12:15] = True


ODD_NAMES = (
    *(
        "shirt, blouse",
        "Top/T-shirt",
        "Mäntel",
        "外套",
        "Платье",
        "1",
        "01",
        "1.5",
        "0x10",
        "1e3",
        "no",
        "null",
        "true",
    ),
    *("true", "~", "- a", "# a", "a: b", "{x}", "[x]", "'", '"', "*a", "&a", "!a", "%", "2020-01-01", "1:30", "="),
    *("<<", "`"),
    *("_background", "__ignore__", "void", "_BACKGROUND_", "unlabeled", "a\\b", "\u2028", "e\u0301", "\ufeffa", "ﬁ"),
)
NAMES = st.lists(st.one_of(st.sampled_from(ODD_NAMES), st.text(max_size=8)), min_size=1, max_size=4)
RESERVED = {"background", "_background_", "__ignore__", "void"}
STEMS = ["a b", "0001", "Mäntel 外套", "x.y", "no", "a%20b", "#1"]


@pytest.mark.parametrize("form", ["coco", "yolo", "label-maps"])
@given(names=NAMES, stems=st.permutations(STEMS))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_name_comes_back(form: ExportFormat, names: list[str], stems: list[str], tmp_path: Path) -> None:
    """Class names that have a meaning in YAML, in lists and in other tools; names of photos; one class alone."""
    assume(not wrong_class_names(names))
    photos = {stems[0]: [(name, RING) for name in names[:1]], stems[1]: [(name, TWO) for name in names[-1:]]}
    write_dataset(tmp_path / "data", photos, classes=names)
    shutil.rmtree(tmp_path / "back", ignore_errors=True)
    options = ExportOptions(format=form, overwrite=True)
    if form == "label-maps" and not RESERVED.isdisjoint(name.strip().lower() for name in names):
        with pytest.raises(DataError, match="label maps cannot have a class"):
            export_dataset(tmp_path / "data", tmp_path / "out", options)
        return
    export_dataset(tmp_path / "data", tmp_path / "out", options)
    back = tmp_path / "out"
    if form != "coco":
        back = import_dataset(tmp_path / "out", tmp_path / "back").folder
    for split in ("train", "val"):
        want, found = (CocoLikeDataset().load_data(root, split).prepare() for root in (tmp_path / "data", back))
        assert found.classes == want.classes
        assert [entry.path.name for entry in found.images] == [entry.path.name for entry in want.images]
        for position in range(len(want)):
            one, other = want.load_instances(position), found.load_instances(position)
            assert one.classes.tolist() == other.classes.tolist()
            assert one.masks.rle() == other.masks.rle()


def test_losses_of_yolo_are_counted(tmp_path: Path) -> None:
    write_dataset(
        tmp_path / "data", {"a": [("Dress", RING), ("Jeans", TWO), ("Dress", TWO)], "b": [("Dress", RING)]}, (3,)
    )
    summary = export_dataset(tmp_path / "data", tmp_path / "yolo", ExportOptions(format="yolo"))
    assert summary.losses == {"crowds_left_out": 1, "holes_as_cuts": 2, "parts_as_bridges": 1}
    assert yaml.safe_load((tmp_path / "yolo" / "data.yaml").read_text()) == {
        "train": "images/train", "val": "images/val", "names": {0: "Dress", 1: "Jeans"}
    }  # fmt: skip
    lines = (tmp_path / "yolo" / "labels" / "train" / "a.txt").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["0", "1"]
    loose = export_dataset(tmp_path / "data", tmp_path / "loose", ExportOptions(format="yolo", tolerance=3))
    assert loose.losses["moved_outlines"] >= 1


def test_objects_with_a_box_and_no_mask(tmp_path: Path) -> None:
    """COCO keeps them; YOLO leaves them out; in label maps their area is void where no object is."""
    write_dataset(tmp_path / "data", {"a": [("Dress", RING), ("Jeans", TWO)], "b": [("Dress", RING)]})
    file = tmp_path / "data" / "annotations" / "train.json"
    tree = json.loads(file.read_text())
    tree["annotations"][1] |= {"segmentation": [], "bbox": [6, 2, 5, 4], "area": 20}
    file.write_text(json.dumps(tree))
    export_dataset(tmp_path / "data", tmp_path / "coco", ExportOptions())
    rows = json.loads((tmp_path / "coco" / "annotations" / "train.json").read_text())["annotations"]
    assert [(row["segmentation"] == [], row["bbox"], row["area"]) for row in rows][1] == (True, [6, 2, 5, 4], 20)
    yolo = export_dataset(tmp_path / "data", tmp_path / "yolo", ExportOptions(format="yolo"))
    assert yolo.losses["boxes_left_out"] == 1
    assert len((tmp_path / "yolo" / "labels" / "train" / "a.txt").read_text().splitlines()) == 1
    maps = export_dataset(tmp_path / "data", tmp_path / "maps", ExportOptions(format="label-maps"))
    assert maps.losses == {"boxes_as_void": 1}
    expected = np.zeros(SIZE, dtype=np.uint8)
    expected[2:6, 6:11] = 255
    expected[RING] = 1
    assert (np.asarray(Image.open(tmp_path / "maps" / "SegmentationClass" / "a.png")) == expected).all()


def test_crowds_are_void_in_label_maps(tmp_path: Path) -> None:
    crowd = np.ones(SIZE, dtype=bool)
    write_dataset(tmp_path / "data", {"a": [("Dress", RING), ("Jeans", crowd)], "b": [("Dress", RING)]}, (2,))
    summary = export_dataset(tmp_path / "data", tmp_path / "maps", ExportOptions(format="label-maps"))
    assert summary.losses == {"crowds_as_void": 1}
    for folder, value in (("SegmentationClass", 1), ("SegmentationObject", 1)):
        picture = Image.open(tmp_path / "maps" / folder / "a.png")
        assert (np.asarray(picture) == np.where(RING, value, 255)).all()
        assert picture.mode == "P"


def test_the_palette_is_that_of_pascal_voc() -> None:
    """The first colours and the border, from the development kit."""
    known = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 8: (64, 0, 0), 15: (192, 128, 128), 255: (224, 224, 192)}
    assert {value: voc_colour(value) for value in known} == known


def test_many_objects_need_16_bits(tmp_path: Path) -> None:
    size = (20, 20)
    objects = [("Dress", np.arange(400).reshape(size) == n) for n in range(300)]
    write_dataset(tmp_path / "data", {"a": objects, "b": [("Dress", RING)]})
    export_dataset(tmp_path / "data", tmp_path / "maps", ExportOptions(format="label-maps"))
    import_dataset(tmp_path / "maps", tmp_path / "back")
    assert objects_of(tmp_path / "back") == objects_of(tmp_path / "data")


def test_faults_of_the_dataset_are_listed(tmp_path: Path) -> None:
    write_dataset(
        tmp_path / "data", {"a": [("Dress", RING), ("Jeans", TWO)], "b": [("Dress", RING)], "c": [("Dress", RING)]}
    )
    (tmp_path / "data" / "images" / "b.jpg").unlink()
    summary = export_dataset(tmp_path / "data", tmp_path / "coco")
    assert summary.losses["missing_photos"] == 1
    assert [text.rpartition("/")[2] for text in summary.failed] == ["b.jpg: no such photo"]
    assert summary.photos == {"train": 1, "val": 1}


def test_photos_that_cannot_be_read_or_do_not_fit_are_left_out_and_named(tmp_path: Path) -> None:
    block = np.zeros(SIZE, dtype=bool)
    block[2:8, 2:8] = True
    write_dataset(tmp_path / "data", {stem: [("Dress", block)] for stem in "abcd"})
    images = tmp_path / "data" / "images"
    (images / "b.jpg").write_bytes((images / "b.jpg").read_bytes()[:300])
    write_photo(images / "c.jpg", SIZE, orientation=6)  # turned after it was labelled
    for form in ("coco", "yolo", "label-maps"):
        summary = export_dataset(tmp_path / "data", tmp_path / form, ExportOptions(format=form))
        assert summary.losses == {"unreadable_photos": 2}
        assert [text.split(":")[0].rpartition("/")[2] for text in summary.failed] == ["b.jpg", "c.jpg"]
        assert sorted(path.stem for path in (tmp_path / form).rglob("*.jpg")) == ["a", "d"]
    shutil.rmtree(images)
    with pytest.raises(DataError, match=r"no photo is left; the first: .*a\.jpg: no such photo"):
        export_dataset(tmp_path / "data", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_name_that_no_file_can_have_is_a_missing_photo(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", {"a": [("Dress", RING)], "b": [("Dress", RING)], "c": [("Dress", RING)]})
    file = tmp_path / "data" / "annotations" / "train.json"
    tree = json.loads(file.read_text())
    tree["images"][0]["file_name"] = "x" * 300 + ".jpg"
    file.write_text(json.dumps(tree))
    assert examine([tmp_path / "data"], min_instances=0).as_dict()["counts"]["missing_photo"] == 1
    assert export_dataset(tmp_path / "data", tmp_path / "coco").losses["missing_photos"] == 1


def test_a_broken_mask_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", {"a": [("Dress", RING), ("Jeans", TWO)], "b": [("Dress", RING)]})
    path = tmp_path / "data" / "annotations" / "train.json"
    tree = json.loads(path.read_text())
    tree["annotations"][0]["segmentation"] = {"size": list(SIZE), "counts": "?"}
    path.write_text(json.dumps(tree))
    with pytest.raises(DataError, match="annotation 1: broken RLE"):
        export_dataset(tmp_path / "data", tmp_path / "coco")
    assert not (tmp_path / "coco").exists()


def test_photos_whose_names_differ_by_suffix(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", {"a": [("Dress", RING)], "b": [("Jeans", TWO)]})
    (tmp_path / "data" / "images" / "b.jpg").rename(tmp_path / "data" / "images" / "a.jpeg")
    path = tmp_path / "data" / "annotations" / "val.json"
    path.write_text(path.read_text().replace("b.jpg", "a.jpeg"))
    export_dataset(tmp_path / "data", tmp_path / "yolo", ExportOptions(format="yolo"))
    assert {p.name for p in (tmp_path / "yolo").rglob("*.txt")} == {"a.txt", "a-2.txt"}


def test_what_is_wrong_is_refused(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", {"a": [("Dress", RING)], "b": [("Dress", RING)]})
    with pytest.raises(DataError, match="unknown format 'xml'; use coco, yolo, label-maps"):
        ExportOptions(format="xml")  # type: ignore[arg-type]
    with pytest.raises(ClothsegError, match="among the inputs"):
        export_dataset(tmp_path / "data", tmp_path / "data" / "out")
    path = tmp_path / "data" / "annotations" / "val.json"
    path.write_text(path.read_text().replace('"Jeans"', '"Coat"'))
    with pytest.raises(DataError, match="val has the classes"):
        export_dataset(tmp_path / "data", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("form", ["yolo", "label-maps"])
def test_photos_without_a_suffix_get_that_of_their_format(form: ExportFormat, tmp_path: Path) -> None:
    """Other tools find photos and their label files by it."""
    mask = np.eye(*SIZE, dtype=bool)
    data = tmp_path / "data"
    write_dataset(data, {"a": [("Dress", mask)], "b": [("Jeans", mask)], "c": [("Dress", ~mask)]})
    renamed = {"a.jpg": ("0f3a", "JPEG"), "b.jpg": ("IMG.0017", "PNG"), "c.jpg": ("IMG.0018", "TIFF")}
    for name, (other, kind) in renamed.items():
        with Image.open(data / "images" / name) as picture:
            picture.save(data / "images" / other, format=kind)
        (data / "images" / name).unlink()
    for file in (data / "annotations").iterdir():
        tree = json.loads(file.read_text())
        for image in tree["images"]:
            image["file_name"] = renamed[image["file_name"]][0]
        file.write_text(json.dumps(tree))
    export_dataset(data, tmp_path / "out", ExportOptions(format=form))
    photos = {path.name for path in (tmp_path / "out").rglob("*") if path.parent.name in {"train", "val", "JPEGImages"}}
    assert {"0f3a.jpg", "IMG.0017.png", "IMG.0018.tif"} <= photos
    imported = import_dataset(tmp_path / "out", tmp_path / "back")
    assert imported.dropped == ()
    assert {name: sorted(rows) for name, rows in objects_of(tmp_path / "back").items()} == {
        "0f3a": [("Dress", mask.tobytes())],
        "IMG.0017": [("Jeans", mask.tobytes())],
        "IMG.0018": [("Dress", (~mask).tobytes())],
    }
