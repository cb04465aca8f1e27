"""Detections of a network as COCO results, with the dataset's class ids."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from clothseg import cpu_path
from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.errors import RunError
from clothseg.evaluation import results
from clothseg.evaluation.results import detections
from clothseg.instances import BoxMasks, Instances, Masks, Rle, encode_photos
from clothseg.models import MaskRCNN

from .conftest import PerfectDetector


def test_classes_are_matched_by_name(dataset: CocoLikeDataset) -> None:
    """The detector numbers its classes differently, and the dataset has no Jeans."""
    classes = ["Jeans", "Dress", "Suit"]

    class Renumbered(PerfectDetector):
        def detect(self, images: list[Tensor]) -> list[Instances]:
            both = [found[torch.tensor([0, 1, 0])] for found in super().detect(images)]
            return [replace(found, classes=torch.tensor([3, 2, 1])) for found in both]

    rows = list(detections(Renumbered(dataset, 9), dataset, classes))
    assert rows == list(detections(PerfectDetector(dataset, 9), dataset))
    model = MaskRCNN(Config.load("demo", ["weights=random"])).build(["Jeans", "Suit"])
    with pytest.raises(RunError, match=r"has Dress, unknown to a network of Jeans, Suit"):
        next(model.predict_dataset(dataset))
    many = MaskRCNN(Config.load("demo", ["weights=random"])).build([f"kind {n}" for n in range(200)])
    with pytest.raises(RunError, match=r"a network of kind 0, .*, kind 9 and 190 more$"):
        next(many.predict_dataset(dataset))


def test_masks_of_several_photos_are_encoded_together_on_a_gpu(
    dataset: CocoLikeDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More photos than are encoded at once; the results are those of the CPU, for which each is encoded alone."""

    class SmallMaps:
        def detect(self, images: list[Tensor]) -> list[Instances]:
            maps = torch.linspace(0, 1, 28).expand(2, 28, 28)
            boxes = torch.tensor([[3.0, 4, 40, 50], [20.5, 8.2, 80, 41]])
            return [
                Instances((60, 90), boxes, torch.tensor([1, 2]), BoxMasks(maps, boxes, (60, 90), 0.5, "torchvision"))
                for _ in images
            ]

    together: list[int] = []

    def counted(masks: list[Masks]) -> list[list[Rle]]:
        together.append(len(masks))
        return encode_photos(masks)

    monkeypatch.setattr(results, "encode_photos", counted)
    expected = list(detections(SmallMaps(), dataset))
    assert together == [1, 1, 1, 1, 0]
    monkeypatch.setattr(results, "_ENCODED_TOGETHER", 3)
    monkeypatch.setattr(cpu_path, "uses_cpu_path", lambda tensor: False)
    together.clear()
    assert list(detections(SmallMaps(), dataset)) == expected
    assert together == [3, 1]
