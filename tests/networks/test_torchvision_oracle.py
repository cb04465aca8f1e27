"""Our Mask R-CNN against torchvision's, with the same weights: detections and losses."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor

from clothseg.config import Config
from clothseg.instances import Instances, PixelMasks
from clothseg.networks import LOSS_NAMES, MaskRCNNNetwork, build_network
from clothseg.photos import read_photo
from clothseg.sample import folder
from clothseg.weights import from_torchvision

CLASSES = 4


def photos() -> list[Tensor]:
    paths: list[Path] = sorted((folder() / "train").glob("*.jpg"))[:3]
    return [torch.from_numpy(read_photo(path)).permute(2, 0, 1) / 255 for path in paths]


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Any, MaskRCNNNetwork]]:
    torch.manual_seed(0)
    theirs = torchvision.models.detection.maskrcnn_resnet50_fpn(
        weights=None,
        weights_backbone=None,
        num_classes=CLASSES + 1,
        min_size=320,
        max_size=480,
        trainable_backbone_layers=3,
        box_score_thresh=0.05,
    )
    with torch.no_grad():  # random weights, brought to a range where scores differ and boxes move
        for module in theirs.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.uniform_(0.4, 0.6)
                module.bias.uniform_(-0.1, 0.1)
        theirs.roi_heads.box_predictor.cls_score.weight.mul_(30)
        theirs.rpn.head.cls_logits.weight.mul_(30)
        theirs.rpn.head.bbox_pred.weight.mul_(3)
        theirs.roi_heads.mask_predictor.mask_fcn_logits.weight.mul_(3)
    config = Config()
    config.picture.min_side, config.picture.max_side = 320, 480
    ours = build_network(config, CLASSES)
    ours.load_state_dict(from_torchvision(theirs.state_dict()))
    yield theirs, ours


def test_the_same_detections(pair: tuple[Any, MaskRCNNNetwork]) -> None:
    theirs, ours = pair
    theirs.eval()
    ours.eval()
    with torch.no_grad():
        expected = theirs(photos())
    found = ours.detect(photos())
    assert sum(len(f) for f in found) > 20
    for mine, other in zip(found, expected, strict=True):
        assert torch.equal(mine.classes, other["labels"])
        torch.testing.assert_close(mine.boxes, other["boxes"], atol=1e-3, rtol=0)
        torch.testing.assert_close(mine.scores, other["scores"], atol=1e-5, rtol=0)
        assert torch.equal(mine.masks.pixels(), other["masks"][:, 0] > 0.5)


def test_the_same_losses_with_the_same_draws(pair: tuple[Any, MaskRCNNNetwork]) -> None:
    theirs, ours = pair
    theirs.train()
    theirs.backbone.body.eval()  # built without pretrained weights, its norms are not frozen ones
    ours.train()
    images = photos()
    targets = []
    for image in images:
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
    # The heads learn from every proposal here: a proposal more or less would shuffle all the draws after it.
    theirs.roi_heads.fg_bg_sampler.batch_size_per_image = 8000
    ours.config.boxes.samples = 8000
    torch.manual_seed(7)
    expected = theirs(images, theirs_targets)
    ours.generator.manual_seed(7)
    for _ in images:  # torchvision draws a number for each photo to choose among its input sizes
        torch.empty(1).uniform_(generator=ours.generator)
    found = ours.losses(images, targets)
    names = dict(
        zip(
            LOSS_NAMES,
            ("loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg", "loss_mask"),
            strict=True,
        )
    )
    for name in LOSS_NAMES:
        assert found[name].item() > 0
        torch.testing.assert_close(found[name], expected[names[name]], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found["total"], sum(expected.values()), atol=1e-5, rtol=1e-5)
