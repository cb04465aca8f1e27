"""The parts that all networks share: cached features, detections in the photo's pixels, seeds."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from clothseg.config import Config
from clothseg.instances import Instances, PixelMasks
from clothseg.networks import build_network, input_transform
from clothseg.networks.mask_rcnn.network import MaskRCNNNetwork

SMALL = [
    "backbone.name=resnet18",
    "input.height=96",
    "input.width=64",
    "network.fpn.channels=16",
    "network.box_head.fc_dim=16",
    "network.mask_head.channels=8",
]


@pytest.fixture(scope="module")
def batch(sample_photos: list[Tensor]) -> tuple[list[Tensor], list[Instances]]:
    """Two photos, one object on the first."""
    truths = []
    for number, photo in enumerate(sample_photos[:2]):
        size = (photo.shape[1], photo.shape[2])
        masks = torch.zeros(1 - number, *size, dtype=torch.bool)
        masks[:, 20:300, 30:200] = True
        boxes = torch.tensor([[30.0, 20, 200, 300]])[: 1 - number]
        truths.append(Instances(size, boxes, torch.ones(1 - number, dtype=torch.int64), PixelMasks(masks)))
    return sample_photos[:2], truths


def test_cached_features_give_the_same_losses(batch: tuple[list[Tensor], list[Instances]]) -> None:
    network = build_network(Config.load("demo", [*SMALL, "backbone.frozen_stages=3"]), 2).train()
    network.generator.manual_seed(1)
    expected = network.losses(*batch)
    cached = [network.cache_features(*one) for one in zip(*batch, strict=True)]
    network.generator.manual_seed(1)
    found = network.losses_cached(cached)
    assert found.keys() == expected.keys()
    for name, loss in expected.items():
        torch.testing.assert_close(found[name], loss, atol=1e-5, rtol=1e-5)
    assert min(one.nbytes for one in cached) > 64 * 96 * 3


def test_detections_do_not_depend_on_the_other_photos_of_a_batch(
    sample_photos: list[Tensor], build_mask_rcnn: Callable[[Config, int], MaskRCNNNetwork]
) -> None:
    overrides = ["inference.score_threshold=0", "inference.max_detections=5", "inference.mask_rescoring=false"]
    network = build_mask_rcnn(Config.load("demo", [*SMALL, *overrides]), 2).eval()
    together = network.detect(sample_photos)
    for photo, found in zip(sample_photos, together, strict=True):
        alone = network.detect([photo])[0]
        assert len(alone) > 0
        torch.testing.assert_close(found.boxes, alone.boxes, atol=1e-3, rtol=0)
        assert torch.equal(found.classes, alone.classes)
        assert found.size == tuple(photo.shape[1:])


def test_preflight_reports_anchors_that_do_not_fit() -> None:
    network = build_network(Config.load("demo", SMALL), 2)
    good = [((96, 64), torch.tensor([[0.0, 0, 60, 90]]))]
    assert [(check.name, check.problem) for check in network.preflight(good)] == [("anchors", "")]
    tiny = [((96, 64), torch.tensor([[0.0, 0, 4, 4]]))]
    assert "no anchor covers 100% of the boxes" in network.preflight(tiny)[0].problem


def test_initial_weights_depend_only_on_the_seed() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second = (build_network(Config.load("demo", [*SMALL, "train.seed=7"]), 2).state_dict() for _ in range(2))
    assert torch.equal(torch.rand(3), expected)
    other = build_network(Config.load("demo", [*SMALL, "train.seed=8"]), 2).state_dict()
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    assert not torch.equal(first["rpn.score.weight"], other["rpn.score.weight"])


def test_the_input_is_known_without_the_network() -> None:
    config = Config.load("demo", [*SMALL, "network.conventions=matterport"])
    network = build_network(config, 2)
    assert input_transform(config).conventions == network.transform.conventions
    assert input_transform(config).place((50, 40)) == network.transform.place((50, 40))
