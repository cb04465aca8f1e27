"""Mask R-CNN against torchvision's with the same weights: detections and losses."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops import FrozenBatchNorm2d

from clothseg import cpu_path
from clothseg.distributed import DistributedContext
from clothseg.instances import Instances, PixelMasks
from clothseg.networks import Network
from clothseg.networks.mask_rcnn.network import MaskRCNNNetwork
from clothseg.weights import load_model

CLASSES = 4
Convert = Callable[..., MaskRCNNNetwork]


def randomize(network: Any, factors: Mapping[str, float]) -> Any:
    """Changes random weights so that scores differ and boxes move."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, (torch.nn.BatchNorm2d, FrozenBatchNorm2d)):
                module.weight.uniform_(0.4, 0.6)
                module.bias.uniform_(-0.1, 0.1)
                module.get_buffer("running_mean").uniform_(-0.1, 0.1)
                module.get_buffer("running_var").uniform_(0.8, 1.2)
        for name, factor in factors.items():
            network.get_parameter(name).mul_(factor)
    return network.eval()


V1 = {
    "roi_heads.box_predictor.cls_score.weight": 30,
    "rpn.head.cls_logits.weight": 30,
    "rpn.head.bbox_pred.weight": 3,
    "roi_heads.mask_predictor.mask_fcn_logits.weight": 3,
}
V2 = {
    "roi_heads.box_predictor.cls_score.weight": 300,
    "roi_heads.box_predictor.bbox_pred.weight": 3,
    "rpn.head.cls_logits.weight": 100,
    "rpn.head.bbox_pred.weight": 10,
    "roi_heads.mask_predictor.mask_fcn_logits.weight": 30,
}
SIZES = {"num_classes": CLASSES + 1, "min_size": 320, "max_size": 480, "box_score_thresh": 0.05}


def build_v1(backbone: str) -> Any:
    """The first version with frozen norms, as in training."""
    torch.manual_seed(0)
    body = resnet_fpn_backbone(backbone_name=backbone, weights=None, norm_layer=FrozenBatchNorm2d, trainable_layers=3)
    return randomize(torchvision.models.detection.MaskRCNN(body, **SIZES), V1)


def build_v2() -> Any:
    torch.manual_seed(0)
    made = torchvision.models.detection.maskrcnn_resnet50_fpn_v2
    return randomize(made(weights=None, weights_backbone=None, trainable_backbone_layers=5, **SIZES), V2)


@pytest.fixture(scope="module")
def convert(tmp_path_factory: pytest.TempPathFactory, as_mask_rcnn: Callable[[Network], MaskRCNNNetwork]) -> Convert:
    """Loads the weights file of torchvision's network; only the input size and `overrides` are given."""

    def load(reference: Any, *overrides: str) -> MaskRCNNNetwork:
        path = tmp_path_factory.mktemp("weights") / "torchvision.pth"
        torch.save(reference.state_dict(), path)
        loaded = load_model(path, overrides=["input.min_side=320", "input.max_side=480", *overrides])
        path.unlink()
        return as_mask_rcnn(loaded.network.eval())

    return load


@pytest.fixture(scope="module")
def reference() -> Any:
    return build_v1("resnet50")


@pytest.fixture(scope="module")
def photos(sample_photos: list[Tensor]) -> list[Tensor]:
    return sample_photos[:2]


def compare(reference: Any, network: MaskRCNNNetwork, images: list[Tensor]) -> None:
    reference.eval()
    network.eval()
    with torch.no_grad():
        expected = reference(images)
    found = network.detect(images)
    assert sum(len(f) for f in found) > 20
    for mine, other in zip(found, expected, strict=True):
        assert mine.scores is not None
        assert torch.equal(mine.classes, other["labels"])
        torch.testing.assert_close(mine.boxes, other["boxes"], atol=1e-3, rtol=0)
        torch.testing.assert_close(mine.scores, other["scores"], atol=1e-5, rtol=0)
        expected_masks = other["masks"][:, 0]
        differ = mine.masks.pixels() != (expected_masks > 0.5)
        on_the_edge = (expected_masks - 0.5).abs() < 1e-5  # rounding decides there
        assert not (differ & ~on_the_edge).any()


def test_detections_match(reference: Any, convert: Convert, photos: list[Tensor]) -> None:
    compare(reference, convert(reference), photos)


def test_detections_of_the_v2_network_match(convert: Convert, photos: list[Tensor]) -> None:
    reference = build_v2()
    compare(reference, convert(reference), photos[:1])


@pytest.mark.parametrize("backbone", ["resnet101", pytest.param("resnext101_32x8d", marks=pytest.mark.slow)])
def test_detections_of_larger_backbones_match(backbone: str, convert: Convert, photos: list[Tensor]) -> None:
    reference = build_v1(backbone)
    network = convert(reference)
    assert network.config.backbone.name == backbone
    compare(reference, network, photos[:1])


class OneGenerator(DistributedContext):
    """All photos use one random generator, as in torchvision."""

    def generators(self, generator: torch.Generator, photos: int) -> list[torch.Generator]:
        return [generator] * photos


class SampleByKeys(BalancedPositiveNegativeSampler):  # type: ignore[misc]
    """Torchvision's sampler, but each box has a random key, and those with the highest keys are sampled."""

    def __call__(self, matched_idxs: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        chosen: tuple[list[Tensor], list[Tensor]] = ([], [])
        for kinds in matched_idxs:
            order = torch.rand(len(kinds)).argsort(descending=True)
            positive = order[kinds[order] >= 1][: int(self.batch_size_per_image * self.positive_fraction)]
            negative = order[kinds[order] == 0][: self.batch_size_per_image - len(positive)]
            for masks, positions in zip(chosen, (positive, negative), strict=True):
                masks.append(torch.zeros_like(kinds, dtype=torch.uint8).index_fill(0, positions, 1))
        return chosen


@pytest.mark.parametrize("samples", [512, 64])
def test_losses_match_with_the_same_random_numbers(
    samples: int, reference: Any, convert: Convert, photos: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The random numbers are equal only if all proposals are equal to the last bit; one more changes all that follow.

    So both sides have frozen norms and one memory order, and no stage of clothseg's network is frozen.
    """
    monkeypatch.setattr(cpu_path, "in_fast_order", lambda maps: maps)
    network = convert(reference, f"network.box_head.samples={samples}")
    reference.train()
    network.train()
    network.backbone.freeze(0)
    targets = []
    for image in photos:
        height, width = image.shape[1:]
        masks = torch.zeros((3, height, width), dtype=torch.bool)
        boxes = torch.tensor([[30.0, 40, 200, 300], [100, 220, 260, 480], [5, 5, 90, 120]])
        for mask, (x1, y1, x2, y2) in zip(masks, boxes.int().tolist(), strict=True):
            mask[y1:y2, x1:x2] = True
            mask[y1 : y1 + 20, x1 : x1 + 20] = False
        targets.append(Instances((height, width), boxes, torch.tensor([1, 2, 4]), PixelMasks(masks)))
    reference_targets = [
        {"boxes": t.boxes, "labels": t.classes, "masks": t.masks.pixels().to(torch.uint8)} for t in targets
    ]
    reference.rpn.fg_bg_sampler = SampleByKeys(256, 0.5)
    reference.roi_heads.fg_bg_sampler = SampleByKeys(samples, 0.25)
    torch.manual_seed(7)
    expected = reference(photos, reference_targets)
    network.distributed = OneGenerator()
    network.generator.manual_seed(7)
    for _ in photos:  # torchvision draws one number per photo to choose the input size
        torch.empty(1).uniform_(generator=network.generator)
    found = network.losses(photos, targets)
    names = ("loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg", "loss_mask")
    for mine, other in zip(network.loss_names, names, strict=True):
        assert found[mine].item() > 0
        torch.testing.assert_close(found[mine], expected[other], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found["total"], sum(expected.values()), atol=1e-5, rtol=1e-5)
