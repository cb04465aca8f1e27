"""Pooling of boxes on a CPU against torchvision's RoI Align; the choice of the best boxes against suppressing all."""

import pytest
import torch
from torchvision.ops import batched_nms, roi_align

from clothseg.config import Detect
from clothseg.networks.input import Window
from clothseg.networks.layers.gathering import gather_boxes
from clothseg.networks.layers.roi_align import pool_boxes
from clothseg.networks.mask_rcnn.conventions import DETECTRON2, TORCHVISION, Conventions
from clothseg.networks.mask_rcnn.postprocess import choose_detections


def boxes_of_all_kinds(count: int, generator: torch.Generator) -> torch.Tensor:
    """Boxes on a map of 33 x 25 cells of 4 pixels: inside, across each edge, without extent, tiny and large."""
    corner = torch.rand(count, 2, generator=generator) * torch.tensor([150.0, 120]) - 10
    boxes = torch.cat([corner, corner + torch.rand(count, 2, generator=generator) ** 2 * 150], dim=1)
    odd = [[0.0, 0, 0, 0], [131, 99, 132, 100], [50, 50, 50, 80], [-40, -40, -20, -20], [200, 0, 220, 20]]
    return torch.cat([boxes, torch.tensor(odd)])


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("samples", [0, 1, 2, 3])
def test_gathering_is_roi_align(samples: int, aligned: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    feature = torch.randn(2, 5, 25, 33, generator=generator)
    boxes = boxes_of_all_kinds(200, generator)
    photo = torch.arange(len(boxes)) % 2
    for size in (1, 7):
        found = gather_boxes(feature, photo, boxes, size, scale=0.25, samples=samples, aligned=aligned)
        wanted = roi_align(feature, torch.cat([photo[:, None], boxes], dim=1), size, 0.25, samples, aligned)
        torch.testing.assert_close(found, wanted, atol=2e-6, rtol=0)
    assert gather_boxes(feature, photo[:0], boxes[:0], 7, scale=0.25, samples=samples, aligned=aligned).shape[0] == 0


@pytest.mark.parametrize("conventions", [TORCHVISION, DETECTRON2])
def test_pooling_is_the_same_with_and_without_gradients(conventions: Conventions) -> None:
    generator = torch.Generator().manual_seed(1)
    features = [torch.randn(2, 6, 64 >> level, 96 >> level, generator=generator) for level in range(4)]
    boxes = [boxes_of_all_kinds(80, generator) * 2 for _ in range(2)]
    wanted = pool_boxes(features, (2, 3, 4, 5), boxes, 7, conventions, 60.0, (256, 384))
    with torch.no_grad():
        found = pool_boxes(features, (2, 3, 4, 5), boxes, 7, conventions, 60.0, (256, 384))
    torch.testing.assert_close(found, wanted, atol=2e-6, rtol=0)


@pytest.mark.parametrize("most", [10, 5000])
def test_the_best_of_very_many_boxes(most: int) -> None:
    """With so many candidates only the best are looked at first; suppressing all of them gives the same."""
    generator = torch.Generator().manual_seed(2)
    corner = torch.rand(900, 2, generator=generator) * 300
    proposals = torch.cat([corner, corner + 10 + torch.rand(900, 2, generator=generator) * 80], dim=1)
    logits = torch.randn(900, 6, generator=generator)
    window = Window(0, 0, 400, 400, (400, 400))
    settings = Detect(min_confidence=0.0, max_detections=most, nms_iou=0.3)
    found = choose_detections(proposals, logits, torch.zeros(900, 6, 4), window, settings, TORCHVISION)
    boxes, scores = proposals.repeat_interleave(5, 0), logits.softmax(-1)[:, 1:].flatten()
    classes = torch.arange(1, 6).repeat(900)
    keep = batched_nms(boxes, scores, classes, 0.3)[:most]
    assert torch.equal(found.scores, scores[keep])
    assert torch.equal(found.classes, classes[keep])
    torch.testing.assert_close(found.boxes, boxes[keep])
