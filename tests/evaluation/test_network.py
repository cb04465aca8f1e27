"""Anything with `detect` is judged: here a detector that knows the truth of the photo it sees."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.errors import DataError, RunError
from clothseg.evaluation import evaluate_network
from clothseg.evaluation.results import detections
from clothseg.instances import Instances, encode, tight_box
from clothseg.models import MaskRCNN


class Knowing:
    """Finds on a photo whose first pixel has red value n what the data set has on photo n."""

    def __init__(self, dataset: CocoLikeDataset, most: int) -> None:
        self.dataset, self.most = dataset, most

    def detect(self, images: list[Tensor]) -> list[Instances]:
        return [self.dataset.load_instances(round(float(i[0, 0, 0]) * 255))[: self.most] for i in images]


@pytest.fixture
def dataset(tmp_path: Path) -> CocoLikeDataset:
    tree: dict[str, list[dict[str, object]]] = {"images": [], "annotations": [], "categories": []}
    tree["categories"] = [{"id": 4, "name": "Suit"}, {"id": 9, "name": "Dress"}]
    for photo in range(4):
        Image.fromarray(np.full((60, 90, 3), photo, dtype=np.uint8)).save(tmp_path / f"{photo}.png")
        tree["images"].append({"id": 10 + photo, "file_name": f"{photo}.png", "height": 60, "width": 90})
        for number, class_id in enumerate((4, 9)):
            mask = np.zeros((60, 90), dtype=bool)
            mask[5 : 40 + photo, 2 + 45 * number : 40 + 45 * number] = True
            rle = encode(mask)
            row = {"id": len(tree["annotations"]), "image_id": 10 + photo, "category_id": class_id}
            tree["annotations"].append(row | {"segmentation": rle, "bbox": list(tight_box(rle)), "iscrowd": 0})
    (tmp_path / "val.json").write_text(json.dumps(tree))
    return CocoLikeDataset().load_data(tmp_path, annotations=tmp_path / "val.json").prepare()


def test_a_detector_that_knows_everything_and_one_that_knows_half(dataset: CocoLikeDataset) -> None:
    perfect = evaluate_network(Knowing(dataset, 9), dataset, resamples=0).overall
    for name in ("mask_AP", "box_AP", "boundary_AP", "report_mAP"):
        assert perfect[name] == pytest.approx(1.0), name
    half = evaluate_network(Knowing(dataset, 1), dataset, resamples=0)
    assert half.overall["mask_AP"] == half.overall["report_mAP"] == pytest.approx(0.5)
    assert half.classes["Suit"].figures["mask_AP"] == pytest.approx(1.0)
    assert half.errors["missed"].count == 4


def test_a_network_that_knows_more_is_judged_by_the_names_of_the_data_set(dataset: CocoLikeDataset) -> None:
    """Its classes are numbered otherwise, and what it finds of Jeans is not asked for."""
    classes = ["Jeans", "Dress", "Suit"]

    class Renumbered(Knowing):
        def detect(self, images: list[Tensor]) -> list[Instances]:
            both = [found[torch.tensor([0, 1, 0])] for found in super().detect(images)]
            return [replace(found, classes=torch.tensor([3, 2, 1])) for found in both]

    rows = list(detections(Renumbered(dataset, 9), dataset, classes))
    assert rows == list(detections(Knowing(dataset, 9), dataset))
    model = MaskRCNN(Config.load("demo", ["weights=random"])).build(["Jeans", "Suit"])
    with pytest.raises(RunError, match=r"has Dress, unknown to the network, which knows Jeans, Suit"):
        next(model.predict_dataset(dataset))


def test_a_data_set_without_a_file_cannot_be_judged_by() -> None:
    nothing = CocoLikeDataset().prepare()
    with pytest.raises(DataError, match="loaded from a file"):
        evaluate_network(Knowing(nothing, 1), nothing)
