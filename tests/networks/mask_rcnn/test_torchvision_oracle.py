"""Our Mask R-CNN against torchvision's, with the same weights: detections and losses."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops import FrozenBatchNorm2d

from clothseg.distributed import DistributedContext
from clothseg.instances import Instances, PixelMasks
from clothseg.networks import Network
from clothseg.networks.mask_rcnn.network import MaskRCNNNetwork
from clothseg.weights import load_model

CLASSES = 4
Ours = Callable[..., MaskRCNNNetwork]


def livened(theirs: Any, factors: Mapping[str, float]) -> Any:
    """Random weights, brought to a range where scores differ and boxes move."""
    with torch.no_grad():
        for module in theirs.modules():
            if isinstance(module, (torch.nn.BatchNorm2d, FrozenBatchNorm2d)):
                module.weight.uniform_(0.4, 0.6)
                module.bias.uniform_(-0.1, 0.1)
                module.get_buffer("running_mean").uniform_(-0.1, 0.1)
                module.get_buffer("running_var").uniform_(0.8, 1.2)
        for name, factor in factors.items():
            theirs.get_parameter(name).mul_(factor)
    return theirs.eval()


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


def first(backbone: str) -> Any:
    """The first version with frozen norms, as it is trained."""
    torch.manual_seed(0)
    body = resnet_fpn_backbone(backbone_name=backbone, weights=None, norm_layer=FrozenBatchNorm2d, trainable_layers=3)
    return livened(torchvision.models.detection.MaskRCNN(body, **SIZES), V1)


def second() -> Any:
    torch.manual_seed(0)
    made = torchvision.models.detection.maskrcnn_resnet50_fpn_v2
    return livened(made(weights=None, weights_backbone=None, trainable_backbone_layers=5, **SIZES), V2)


@pytest.fixture(scope="module")
def ours_of(tmp_path_factory: pytest.TempPathFactory, as_mask_rcnn: Callable[[Network], MaskRCNNNetwork]) -> Ours:
    """From their network to ours, by a file of their weights; only the size of the input and `words` are told."""

    def made(theirs: Any, *words: str) -> MaskRCNNNetwork:
        path = tmp_path_factory.mktemp("weights") / "theirs.pth"
        torch.save(theirs.state_dict(), path)
        opened = load_model(path, overrides=["input.min_side=320", "input.max_side=480", *words])
        path.unlink()
        return as_mask_rcnn(opened.network.eval())

    return made


@pytest.fixture(scope="module")
def theirs() -> Any:
    return first("resnet50")


@pytest.fixture(scope="module")
def photos(sample_photos: list[Tensor]) -> list[Tensor]:
    return sample_photos[:2]


def compare(theirs: Any, ours: MaskRCNNNetwork, images: list[Tensor]) -> None:
    theirs.eval()
    ours.eval()
    with torch.no_grad():
        expected = theirs(images)
    found = ours.detect(images)
    assert sum(len(f) for f in found) > 20
    for mine, other in zip(found, expected, strict=True):
        assert mine.scores is not None
        assert torch.equal(mine.classes, other["labels"])
        torch.testing.assert_close(mine.boxes, other["boxes"], atol=1e-3, rtol=0)
        torch.testing.assert_close(mine.scores, other["scores"], atol=1e-5, rtol=0)
        theirs_masks = other["masks"][:, 0]
        differ = mine.masks.pixels() != (theirs_masks > 0.5)
        on_the_edge = (theirs_masks - 0.5).abs() < 1e-5  # where the order of additions alone decides
        assert not (differ & ~on_the_edge).any()


def test_the_same_detections(theirs: Any, ours_of: Ours, photos: list[Tensor]) -> None:
    compare(theirs, ours_of(theirs), photos)


def test_the_same_detections_of_the_second_version(ours_of: Ours, photos: list[Tensor]) -> None:
    theirs = second()
    compare(theirs, ours_of(theirs), photos[:1])


@pytest.mark.parametrize("backbone", ["resnet101", pytest.param("resnext101_32x8d", marks=pytest.mark.slow)])
def test_the_same_detections_of_larger_backbones(backbone: str, ours_of: Ours, photos: list[Tensor]) -> None:
    theirs = first(backbone)
    ours = ours_of(theirs)
    assert ours.config.backbone.name == backbone
    compare(theirs, ours, photos[:1])


class OneAfterTheOther(DistributedContext):
    """All photos draw from one generator, as in torchvision."""

    def generators(self, generator: torch.Generator, photos: int) -> list[torch.Generator]:
        return [generator] * photos


@pytest.mark.parametrize("samples", [512, 64])
def test_the_same_losses_with_the_same_draws(samples: int, theirs: Any, ours_of: Ours, photos: list[Tensor]) -> None:
    """Every draw is the same as long as every proposal is, to the last bit: one more would shuffle all draws after it.

    So both sides have frozen norms, and ours freezes no stage.
    """
    ours = ours_of(theirs, f"network.box_head.samples={samples}")
    theirs.train()
    ours.train()
    ours.backbone.freeze(0)
    targets = []
    for image in photos:
        height, width = image.shape[1:]
        masks = torch.zeros((3, height, width), dtype=torch.bool)
        boxes = torch.tensor([[30.0, 40, 200, 300], [100, 220, 260, 480], [5, 5, 90, 120]])
        for mask, (x1, y1, x2, y2) in zip(masks, boxes.int().tolist(), strict=True):
            mask[y1:y2, x1:x2] = True
            mask[y1 : y1 + 20, x1 : x1 + 20] = False
        targets.append(Instances((height, width), boxes, torch.tensor([1, 2, 4]), PixelMasks(masks)))
    theirs_targets = [
        {"boxes": t.boxes, "labels": t.classes, "masks": t.masks.pixels().to(torch.uint8)} for t in targets
    ]
    theirs.roi_heads.fg_bg_sampler.batch_size_per_image = samples
    torch.manual_seed(7)
    expected = theirs(photos, theirs_targets)
    ours.distributed = OneAfterTheOther()
    ours.generator.manual_seed(7)
    for _ in photos:  # torchvision draws a number for each photo to choose among its input sizes
        torch.empty(1).uniform_(generator=ours.generator)
    found = ours.losses(photos, targets)
    names = ("loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg", "loss_mask")
    for mine, other in zip(ours.loss_names, names, strict=True):
        assert found[mine].item() > 0
        torch.testing.assert_close(found[mine], expected[other], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found["total"], sum(expected.values()), atol=1e-5, rtol=1e-5)
