"""The RPN: the sparse head against the dense head, proposals and losses against hand-computed values."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from clothseg.config import AnchorSettings, Config, FpnSettings, RpnSettings
from clothseg.distributed import SINGLE_PROCESS
from clothseg.networks.mask_rcnn.conventions import CONVENTIONS, TORCHVISION
from clothseg.networks.mask_rcnn.network import MaskRCNNNetwork
from clothseg.networks.mask_rcnn.rpn import RegionProposalNetwork
from clothseg.networks.placement import InputPlacement
from clothseg.networks.target import Target

LEVELS = {2: (24, 32), 3: (12, 16), 4: (6, 8)}


def features(batch: int, channels: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(5)
    return [torch.randn((batch, channels, *size), generator=generator).requires_grad_() for size in LEVELS.values()]


@pytest.mark.parametrize("convolutions", [1, 2])
def test_the_sparse_head_matches_the_dense_head(
    convolutions: int, build_mask_rcnn: Callable[[Config, int], MaskRCNNNetwork]
) -> None:
    config = Config.load(
        "demo", ["network.fpn.channels=8", "network.fpn.levels=[2,3,4]", f"network.rpn.num_conv={convolutions}"]
    )
    rpn = build_mask_rcnn(config, 1).rpn
    for parameter in rpn.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=torch.Generator().manual_seed(parameter.numel()))
    sparse_input, dense_input = features(2, 8), features(2, 8)
    scores, deltas, anchors = rpn(dense_input, (96, 128))
    generator = torch.Generator().manual_seed(2)
    position = torch.randperm(len(anchors), generator=generator)[:300].view(2, 150)
    position[0, :4] = torch.tensor([0, len(anchors) - 1, 24 * 32 * 3 - 1, 24 * 32 * 3])  # first and last of levels
    photo = torch.arange(2)[:, None]
    expected = torch.cat(scores, dim=1)[photo, position], torch.cat(deltas, dim=1)[photo, position]
    found = rpn.sparse_head(sparse_input, position)
    gradients = []
    for outputs, inputs in ((found, sparse_input), (expected, dense_input)):
        total = outputs[0].sin().sum() + outputs[1].cos().sum()
        gradients.append(torch.autograd.grad(total, [*inputs, *rpn.parameters()]))
    for one, other in zip((*found, *gradients[0]), (*expected, *gradients[1]), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def small_rpn(name: str = "torchvision", **settings: object) -> RegionProposalNetwork:
    """One level of stride 16, with one square anchor of 32 pixels per cell."""
    return RegionProposalNetwork(
        RpnSettings.model_validate(settings),
        AnchorSettings(scales=((32.0,),), ratios=(1.0,)),
        FpnSettings(channels=8, levels=(4,)),
        CONVENTIONS[name],
    )


@pytest.mark.parametrize("name", list(CONVENTIONS))
def test_proposals_match_hand_computed_values(name: str) -> None:
    """Four anchors in a row, 16 pixels apart, clipped at the edges. NMS at 0.2 drops the neighbours of the best."""
    rpn = small_rpn(name, nms_iou=0.2, post_nms_top_n_train=3, post_nms_top_n_test=3)
    anchors = rpn.anchors_of([torch.zeros(1, 8, 1, 4)], (64, 64))
    assert anchors.tolist() == [[x - 16.0, -16, x + 16, 16] for x in (0, 16, 32, 48)]
    scores, deltas = [torch.tensor([[1.0, 3, 2, 0.5]])], [torch.zeros(1, 4, 4)]
    placement = InputPlacement(0, 0, 64, 64, (64, 64), (64, 64))
    found = rpn.proposals(scores, deltas, anchors, [placement], train=True)[0]
    # Neighbours have IoU 1/2 (the first, clipped to 16 pixels) or 1/3; anchors two steps apart do not overlap.
    best, last = [0.0, 0, 32, 16], [32.0, 0, 64, 16]
    if name == "matterport":
        best, last = ([box[0] / 63, 0, (box[2] - 1) / 63, 15 / 63] for box in (best, last))
    torch.testing.assert_close(found, torch.tensor([best, last]))
    inference = rpn.proposals(scores, deltas, anchors, [placement], train=False)[0]
    if name == "matterport":  # the missing ones are empty boxes
        torch.testing.assert_close(inference, torch.tensor([best, last, [0.0] * 4]))
    else:
        torch.testing.assert_close(inference, torch.tensor([best, last]))


def test_only_the_best_candidates_become_proposals() -> None:
    rpn = small_rpn(nms_iou=1.0, pre_nms_top_n_train=2, post_nms_top_n_train=9)
    anchors = rpn.anchors_of([torch.zeros(1, 8, 2, 4)], (64, 64))
    scores = [torch.tensor([[0.0, 5, 1, 2, 6, 3, 4, 0]])]
    placement = InputPlacement(0, 0, 64, 64, (64, 64), (64, 64))
    found = rpn.proposals(scores, [torch.zeros(1, 8, 4)], anchors, [placement], train=True)[0]
    assert found.tolist() == anchors[[4, 1]].clamp(min=0).tolist()


def test_rpn_losses_average_the_sampled_anchors_of_all_photos() -> None:
    """With logits of 0, each anchor has a class loss of log 2. With deltas of 0, the targets give the box loss."""
    rpn = small_rpn(samples=4)
    for parameter in rpn.parameters():
        torch.nn.init.zeros_(parameter)
    maps = [torch.zeros(2, 8, 2, 4)]
    anchors = rpn.anchors_of(maps, (32, 64))
    nothing = torch.zeros(0, 4)
    exact = Target(anchors[[5]].float(), torch.tensor([1]), torch.zeros(1, 32, 64, dtype=torch.uint8), nothing)
    empty = Target(nothing, torch.zeros(0, dtype=torch.int64), torch.zeros(0, 32, 64, dtype=torch.uint8), nothing)
    generators = [torch.Generator().manual_seed(number) for number in range(2)]
    found = rpn.losses(maps, anchors, [exact, empty], generators, SINGLE_PROCESS)
    assert found["rpn_class"].item() == pytest.approx(0.6931472)
    assert found["rpn_bbox"].item() == 0  # the only object is an anchor
    shifted = Target(exact.boxes + torch.tensor([8.0, 0, 8, 0]), exact.classes, exact.masks, nothing)
    generators = [torch.Generator().manual_seed(number) for number in range(2)]
    found = rpn.losses(maps, anchors, [shifted, empty], generators, SINGLE_PROCESS)
    # The object is a quarter of the width to the right of anchor 5, and a quarter to the left of anchor 6.
    per_anchor = 0.25 - TORCHVISION.smooth_l1_beta / 2
    assert found["rpn_bbox"].item() == pytest.approx(2 * per_anchor / 8)
