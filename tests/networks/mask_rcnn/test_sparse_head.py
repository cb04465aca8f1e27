"""What training computes in a shorter way is what the long way gives: values and gradients."""

import pytest
import torch
from torch import Tensor
from torchvision.ops import roi_align

from clothseg.config import Config
from clothseg.networks import build_network
from clothseg.networks.layers.gathering import gather_boxes
from clothseg.networks.mask_rcnn.rpn import RegionProposals, neighbours

SIZES = {2: (24, 32), 3: (12, 16), 4: (6, 8)}


def levels(batch: int, channels: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(5)
    return [torch.randn((batch, channels, *size), generator=generator).requires_grad_() for size in SIZES.values()]


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize(("size", "samples"), [(7, 2), (14, 2), (3, 1), (5, 3), (7, 0)])
def test_boxes_are_pooled_as_torchvision_pools_them(aligned: bool, size: int, samples: int) -> None:
    generator = torch.Generator().manual_seed(1)
    corner = torch.rand((40, 2), generator=generator) * torch.tensor([128.0, 96.0])
    boxes = torch.cat([corner, corner + torch.rand((40, 2), generator=generator) * 90], dim=1)
    boxes[0] = torch.tensor([0.0, 0.0, 128.0, 96.0])  # the whole input
    boxes[1] = torch.tensor([127.5, 95.5, 128.0, 96.0])  # a speck in the corner
    boxes[2] = torch.tensor([-40.0, -30.0, 200.0, 150.0])  # beyond all edges
    boxes[3] = torch.tensor([60.0, 50.0, 60.0, 50.0])  # without extent
    photo = torch.arange(40) % 2
    level = torch.arange(40) % 3 + 2
    weights = torch.randn((40, 4, size, size), generator=generator)
    mine, theirs = levels(2, 4), levels(2, 4)
    found = expected = torch.zeros((40, 4, size, size))
    for feature, number in zip(mine, SIZES, strict=True):
        here = torch.where(level == number)[0]
        pooled = gather_boxes(
            feature, photo[here], boxes[here], size, scale=2.0**-number, samples=samples, aligned=aligned
        )
        found = found.index_copy(0, here, pooled)
    for feature, number in zip(theirs, SIZES, strict=True):
        here = torch.where(level == number)[0]
        regions = torch.cat([photo[here, None], boxes[here]], dim=1)
        pooled = roi_align(feature, regions, size, 2.0**-number, samples, aligned)
        expected = expected.index_copy(0, here, pooled)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-5)
    for answer in (found, expected):
        torch.autograd.backward((answer * weights).sum())
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=2e-4, rtol=1e-5)


@pytest.mark.parametrize("convolutions", [1, 2])
def test_chosen_anchors_get_what_all_anchors_get(convolutions: int) -> None:
    config = Config.load("demo", ["pyramid.channels=8", "pyramid.levels=[2,3,4]", f"rpn.convolutions={convolutions}"])
    rpn = build_network(config, 1).rpn
    assert isinstance(rpn, RegionProposals)
    for parameter in rpn.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=torch.Generator().manual_seed(parameter.numel()))
    features, again = levels(2, 8), levels(2, 8)
    scores, deltas, anchors = rpn(again, (96, 128))
    generator = torch.Generator().manual_seed(2)
    place = torch.randperm(len(anchors), generator=generator)[:300]
    place[:4] = torch.tensor([0, len(anchors) - 1, 24 * 32 * 3 - 1, 24 * 32 * 3])  # corners of levels
    photo = torch.arange(300) % 2
    expected = torch.cat(scores, dim=1)[photo, place], torch.cat(deltas, dim=1)[photo, place]
    found = rpn.answers(features, photo, place)
    gradients = []
    for answers, inputs in ((found, features), (expected, again)):
        total = answers[0].sin().sum() + answers[1].cos().sum()
        gradients.append(torch.autograd.grad(total, [*inputs, *rpn.parameters()]))
    for one, other in zip((*found, *gradients[0]), (*expected, *gradients[1]), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_gradients_of_overlapping_cells_are_the_same_each_time() -> None:
    """Several threads add them up, which must not decide about the last digits: a run is resumed bit for bit."""
    generator = torch.Generator().manual_seed(3)
    feature = torch.randn((2, 32, 40, 40), generator=generator).requires_grad_()
    cell = torch.randint(0, 1600, (3200,), generator=generator)
    photo = torch.arange(3200) // 1600
    weights = torch.randn(32 * 9, generator=generator)
    threads = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        found = [
            torch.autograd.grad((neighbours(feature, photo, cell) * weights).sin().sum(), feature)[0] for _ in range(9)
        ]
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(found[0], other) for other in found[1:])
