"""RoI Align on a CPU against torchvision's; levels against hand-computed values."""

import pytest
import torch
from torch import Tensor
from torchvision.ops import roi_align

from clothseg import cpu_path
from clothseg.networks.layers.roi_align import (
    RoiAlignConventions,
    box_levels,
    locate_boxes,
    roi_align_cpu,
    roi_align_levels,
)
from clothseg.networks.mask_rcnn.conventions import DETECTRON2, MATTERPORT, TORCHVISION


def boxes_of_all_kinds(count: int, generator: torch.Generator) -> Tensor:
    """Boxes on a map of 33 x 25 cells of 4 pixels: inside, across each edge, of size 0, tiny and large."""
    corner = torch.rand(count, 2, generator=generator) * torch.tensor([150.0, 120]) - 10
    boxes = torch.cat([corner, corner + torch.rand(count, 2, generator=generator) ** 2 * 150], dim=1)
    odd = [[0.0, 0, 0, 0], [131, 99, 132, 100], [50, 50, 50, 80], [-40, -40, -20, -20], [200, 0, 220, 20]]
    return torch.cat([boxes, torch.tensor(odd)])


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("samples", [0, 1, 2, 3])
def test_roi_align_on_a_cpu_matches_torchvision(samples: int, aligned: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    feature = torch.randn(2, 5, 25, 33, generator=generator)
    boxes = boxes_of_all_kinds(200, generator)
    photo = torch.arange(len(boxes)) % 2
    for size in (1, 7):
        found = roi_align_cpu(feature, photo, boxes, size, scale=0.25, samples=samples, aligned=aligned)
        expected = roi_align(feature, torch.cat([photo[:, None], boxes], dim=1), size, 0.25, samples, aligned)
        torch.testing.assert_close(found, expected, atol=2e-6, rtol=0)
    assert roi_align_cpu(feature, photo[:0], boxes[:0], 7, scale=0.25, samples=samples, aligned=aligned).shape[0] == 0


def levels(batch: int, channels: int) -> dict[int, Tensor]:
    generator = torch.Generator().manual_seed(5)
    sizes = {2: (24, 32), 3: (12, 16), 4: (6, 8)}
    return {
        level: torch.randn((batch, channels, *size), generator=generator).requires_grad_()
        for level, size in sizes.items()
    }


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize(("size", "samples"), [(7, 2), (14, 2), (3, 1), (5, 3), (7, 0)])
def test_roi_align_gradients_on_a_cpu_match_torchvision(aligned: bool, size: int, samples: int) -> None:
    generator = torch.Generator().manual_seed(1)
    corner = torch.rand((40, 2), generator=generator) * torch.tensor([128.0, 96.0])
    boxes = torch.cat([corner, corner + torch.rand((40, 2), generator=generator) * 90], dim=1)
    boxes[0] = torch.tensor([0.0, 0.0, 128.0, 96.0])  # the whole input
    boxes[1] = torch.tensor([127.5, 95.5, 128.0, 96.0])  # half a pixel in the corner
    boxes[2] = torch.tensor([-40.0, -30.0, 200.0, 150.0])  # beyond all edges
    boxes[3] = torch.tensor([60.0, 50.0, 60.0, 50.0])  # of size 0
    photo = torch.arange(40) % 2
    level = torch.arange(40) % 3 + 2
    weights = torch.randn((40, 4, size, size), generator=generator)
    cpu_levels, reference_levels = levels(2, 4), levels(2, 4)
    found = expected = torch.zeros((40, 4, size, size))
    for number, feature in cpu_levels.items():
        here = torch.where(level == number)[0]
        pooled = roi_align_cpu(
            feature, photo[here], boxes[here], size, scale=2.0**-number, samples=samples, aligned=aligned
        )
        found = found.index_copy(0, here, pooled)
    for number, feature in reference_levels.items():
        here = torch.where(level == number)[0]
        regions = torch.cat([photo[here, None], boxes[here]], dim=1)
        pooled = roi_align(feature, regions, size, 2.0**-number, samples, aligned)
        expected = expected.index_copy(0, here, pooled)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-5)
    for answer in (found, expected):
        torch.autograd.backward((answer * weights).sum())
    for one, other in zip(cpu_levels.values(), reference_levels.values(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=2e-4, rtol=1e-5)


@pytest.mark.parametrize("conventions", [TORCHVISION.roi_align, DETECTRON2.roi_align])
def test_roi_align_is_equal_with_and_without_gradients(conventions: RoiAlignConventions) -> None:
    generator = torch.Generator().manual_seed(1)
    features = [torch.randn(2, 6, 64 >> level, 96 >> level, generator=generator) for level in range(4)]
    boxes = [boxes_of_all_kinds(80, generator) * 2 for _ in range(2)]
    located = locate_boxes(boxes, (2, 3, 4, 5), conventions, 60.0)
    expected = roi_align_levels(features, (2, 3, 4, 5), located, 7, conventions)
    with torch.no_grad():
        found = roi_align_levels(features, (2, 3, 4, 5), located, 7, conventions)
    torch.testing.assert_close(found, expected, atol=2e-6, rtol=0)


@pytest.mark.parametrize("conventions", [TORCHVISION.roi_align, DETECTRON2.roi_align, MATTERPORT.roi_align])
def test_pooling_all_boxes_on_every_level_gives_the_same_values_and_gradients(
    conventions: RoiAlignConventions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU: no shape depends on the levels of the boxes."""
    generator = torch.Generator().manual_seed(1)
    boxes = [boxes_of_all_kinds(80, generator) for _ in range(2)]
    boxes[1][0] = torch.nan
    if conventions.method == "crop_and_resize":
        boxes = [one / 132 for one in boxes]
    side = 0.5 if conventions.method == "crop_and_resize" else 60.0
    answers = []
    for fixed in (False, True):
        monkeypatch.setattr(cpu_path, "uses_cpu_path", lambda tensor, fixed=fixed: not fixed)
        features = list(levels(2, 6).values())
        located = locate_boxes(boxes, (2, 3, 4), conventions, side)
        answer = roi_align_levels(features, (2, 3, 4), located, 7, conventions)
        answers.append((answer, torch.autograd.grad((answer[:80].sin() * 3).sum(), features)))
    (expected, expected_gradients), (found, gradients) = answers
    assert expected.abs().sum() > 0
    torch.testing.assert_close(found, expected, atol=5e-6, rtol=0)
    for one, other in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(one, other, atol=2e-4, rtol=1e-5)


def test_box_levels_match_hand_computed_values() -> None:
    """A square of the canonical side belongs to level 4, one of twice the side to 5; limits are 2 and 5."""
    sides = torch.tensor([0.0, 20, 56, 111, 112, 159, 223.9, 224, 317, 400, 448, 2000])
    boxes = torch.stack([torch.zeros(12), torch.zeros(12), sides, sides], dim=1)
    floor = [2, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5]
    assert box_levels(boxes, (2, 3, 4, 5), TORCHVISION.roi_align, 224).tolist() == floor
    assert box_levels(boxes, (2, 3, 4, 5), DETECTRON2.roi_align, 224).tolist() == floor
    nearest = [2, 2, 2, 3, 3, 4, 4, 4, 5, 5, 5, 5]  # changes at sides of 158.4 and 316.8, a factor of the root of 2
    assert box_levels(boxes, (2, 3, 4, 5), MATTERPORT.roi_align, 224).tolist() == nearest
    assert box_levels(boxes, (3, 4), TORCHVISION.roi_align, 224).tolist() == [min(max(x, 3), 4) for x in floor]
