"""Exports in the layouts of CVAT's server give the masks that were drawn; the downloaded zip is named as what it is."""

import json
from collections.abc import Callable
from pathlib import Path

import cvat_exports
import pytest
from label_files import objects_of

from clothseg.dataset import CocoLikeDataset
from clothseg.dataset.doctor import Severity, examine
from clothseg.dataset.importing import ImportOptions, detect, import_dataset
from clothseg.dataset.train_val import read_training_data

SUBSETS = ("Train", "Validation")
IMPORTED: dict[str, tuple[str, Callable[..., None]]] = {
    "CVAT for images 1.1": ("cvat-xml", cvat_exports.write_images),
    "YOLOv8 Segmentation 1.0": ("yolo", cvat_exports.write_yolo),
    "Segmentation mask 1.1": ("voc", cvat_exports.write_segmentation_mask),
    "LabelMe 3.0": ("labelme-xml", cvat_exports.write_labelme_3),
    "Datumaro 1.0": ("datumaro", cvat_exports.write_datumaro),
}


@pytest.mark.parametrize("subsets", [("default",), SUBSETS], ids=["task", "project"])
@pytest.mark.parametrize("name", IMPORTED)
def test_an_export_gives_the_masks_that_were_drawn(name: str, subsets: tuple[str, ...], tmp_path: Path) -> None:
    form, write = IMPORTED[name]
    write(tmp_path / "labels", subsets)
    assert detect(tmp_path / "labels") == form
    summary = import_dataset(tmp_path / "labels", tmp_path / "out", ImportOptions())
    assert summary.dropped == ()
    assert objects_of(tmp_path / "out") == cvat_exports.masks(subsets)
    if len(subsets) == 2:
        for split, subset in zip(("train", "val"), subsets, strict=True):
            tree = json.loads((tmp_path / "out" / "annotations" / f"{split}.json").read_text())
            assert [subset in row["file_name"] for row in tree["images"]] == [True, True]


def test_yolo_lists_may_have_no_prefix(tmp_path: Path) -> None:
    """CVAT's documentation shows them without, its exporter writes `data/`."""
    cvat_exports.write_yolo(tmp_path / "labels", prefix="")
    import_dataset(tmp_path / "labels", tmp_path / "out", ImportOptions())
    assert objects_of(tmp_path / "out") == cvat_exports.masks()


@pytest.mark.parametrize("subsets", [("default",), SUBSETS], ids=["task", "project"])
def test_coco_is_used_as_it_comes(subsets: tuple[str, ...], tmp_path: Path) -> None:
    cvat_exports.write_coco(tmp_path, subsets)
    if len(subsets) == 1:
        sides = [CocoLikeDataset().load_data(tmp_path).prepare()]
    else:
        sides = list(read_training_data(tmp_path))
    found = {
        entry.path.stem: sorted(
            (side.class_names[int(number)], mask.numpy().tobytes())
            for number, mask in zip(objects.classes, objects.masks.pixels(), strict=True)
        )
        for side in sides
        for position, entry in enumerate(side.images)
        if side.load_image(position) is not None
        for objects in [side.load_instances(position)]
    }
    assert found == cvat_exports.masks(subsets)
    assert [row for row in examine([tmp_path]).findings if row.severity is Severity.ERROR] == []
