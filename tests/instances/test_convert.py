"""Instances as a sequence, by name, and in the forms of other libraries."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco_mask

from clothseg.errors import ClothsegError, PhotoError
from clothseg.instances import Instances, PixelMasks
from clothseg.pictures import PhotoInstances, class_colour, draw_instances


def found(names: tuple[str, ...] = ("Suit", "Dress")) -> Instances:
    masks = torch.zeros((3, 40, 60), dtype=torch.bool)
    masks[0, 10:20, 5:25] = True
    masks[1, 0:40, 30:60] = True
    boxes = torch.tensor([[5.0, 10, 25, 20], [30, 0, 60, 40], [0, 0, 0, 0]])
    return Instances((40, 60), boxes, torch.tensor([2, 1, 2]), PixelMasks(masks), torch.tensor([0.9, 0.8, 0.1]),
                     names=names)  # fmt: skip


def test_it_is_a_sequence_of_single_objects() -> None:
    three = found()
    assert len(three) == 3
    assert [one.class_names for one in three] == [["Dress"], ["Suit"], ["Dress"]]
    assert three[-1].scores.tolist() == pytest.approx([0.1])
    assert three[1].boxes.tolist() == [[30, 0, 60, 40]]
    assert three[:2].names == three.names
    assert three[three.scores > 0.5].class_names == ["Dress", "Suit"]
    with pytest.raises(TypeError, match=r"not by 'Suit'.*class_names"):
        three["Suit"]  # type: ignore[index]
    with pytest.raises(IndexError, match="there are 3 instances, so there is no position 3"):
        three[3]
    assert list(three[:0]) == []


def test_the_repr_has_names() -> None:
    text = "Instances(3 on 40 x 60 pixels (height x width), Suit: 1, Dress: 2, best score 0.90)"
    assert repr(found()) == text
    assert found(()).class_names == ["2", "1", "2"]


def test_coco_results_decode_to_the_masks() -> None:
    three = found()
    rows = three.to_coco(7)
    assert [(row["image_id"], row["category_id"]) for row in rows] == [(7, 2), (7, 1), (7, 2)]
    assert rows[0]["bbox"] == [5, 10, 20, 10]
    for row, mask in zip(rows, three.mask_arrays(), strict=True):
        assert np.array_equal(coco_mask.decode(row["segmentation"]).astype(bool), mask)


def test_a_table_for_pandas() -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    table = found().to_pandas()
    assert list(table.columns) == ["class", "class_id", "score", "x1", "y1", "x2", "y2", "area"]
    assert table["area"].tolist() == [200, 1200, 0]
    assert table.groupby("class")["area"].sum().to_dict() == {"Dress": 200, "Suit": 1200}
    assert len(found()[:0].to_pandas()) == 0


def test_detections_for_supervision() -> None:
    supervision = pytest.importorskip("supervision", reason="supervision is not installed")
    detections = found().to_supervision()
    assert isinstance(detections, supervision.Detections)
    assert detections.area.tolist() == [200, 1200, 0]
    assert detections.data["class_name"].tolist() == ["Dress", "Suit", "Dress"]
    assert detections[detections.confidence > 0.5].class_id.tolist() == [2, 1]
    assert len(found()[:0].to_supervision()) == 0


@pytest.mark.parametrize("library", ["pandas", "supervision"])
def test_a_missing_library_is_named(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ClothsegError, match=f"pip install {library}"):
        getattr(found(), f"to_{library}")()


def test_plot_draws_what_draw_instances_draws(tmp_path: Path) -> None:
    photo = np.full((40, 60, 3), 200, np.uint8)
    drawable = PhotoInstances.of(found(), ["Suit", "Dress"])
    picture = drawable.plot(photo, scores=False)
    want = draw_instances(photo, found(), {1: "Suit", 2: "Dress"}, scores=False)
    assert np.array_equal(np.asarray(picture), want)
    assert np.array_equal(np.asarray(drawable.plot(Image.fromarray(photo), scores=False)), want)
    drawable.plot(photo, tmp_path / "new folder" / "found.png", scores=False)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "new folder" / "found.png")), want)
    for name in ("found", "found.txt", "found.psd"):  # Pillow reads .psd, but does not write it
        with pytest.raises(ClothsegError, match=rf"{name}: the name of the picture must end in \.png"):
            drawable.plot(photo, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["new folder"]
    assert (np.asarray(drawable[1].plot(labels=False))[20, 45] != 255).any()
    assert class_colour(1) != (255, 255, 255)
    assert isinstance(drawable[0], PhotoInstances)
    with pytest.raises(ValueError, match="belong to a photo"):
        drawable.plot(photo[:10])
    with pytest.raises(PhotoError):
        drawable.plot("nowhere.jpg")
