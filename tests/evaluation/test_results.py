"""Detections of a network as COCO results, with the dataset's class ids."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.errors import RunError
from clothseg.evaluation.results import detections
from clothseg.instances import Instances
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
    with pytest.raises(RunError, match=r"has Dress, unknown to the network, which knows Jeans, Suit"):
        next(model.predict_dataset(dataset))
