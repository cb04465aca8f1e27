"""The second stage of a mask: what it starts from, what it pools, and that it learns what 28 cells cannot show."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import roi_align

from clothseg.config import Config
from clothseg.instances import Instances, PixelMasks
from clothseg.networks import build_network
from clothseg.networks.layers.roi_align import LocatedBoxes
from clothseg.networks.mask_rcnn.network import MaskRCNNNetwork

NETWORK: dict[str, Any] = {
    "name": "mask_rcnn",
    "fpn": {"channels": 16, "levels": [3, 4, 5], "norm": "group"},
    "anchors": {"scales": [[32.0], [64.0], [96.0]]},
    "rpn": {"post_nms_top_n_test": 20},
    "box_head": {"fc_dim": 16},
}


def build(levels: list[int], side: int = 128, pool_size: int = 14, **refinement: int) -> MaskRCNNNetwork:
    scales = [[8.0 * 2**level / 2] for level in levels]
    tree = {
        "input": {"resize": "fit", "height": side, "width": side},
        "backbone": {"name": "resnet18", "norm": "group"},
        "network": NETWORK
        | {"fpn": {"channels": 16, "levels": levels, "norm": "group"}, "anchors": {"scales": scales}}
        | {"mask_head": {"channels": 8, "num_conv": 1, "pool_size": pool_size}, "mask_refinement": refinement},
    }
    torch.manual_seed(0)
    network = build_network(Config.from_tree(tree, [], "test").changed("inference", score_threshold=0.0), 2)
    assert isinstance(network, MaskRCNNNetwork)
    return network.eval()


@pytest.mark.parametrize("levels", [[3, 4, 5], [2, 3, 4, 5]])
def test_it_starts_from_the_mask_heads_mask(levels: list[int]) -> None:
    plain, refined = build(levels), build(levels, size=56, channels=8)
    weights = refined.state_dict() | plain.state_dict()
    refined.load_state_dict(weights)
    photo = torch.rand(3, 128, 128)
    (coarse,), (fine,) = plain.detect([photo]), refined.detect([photo])
    assert len(coarse) and torch.equal(coarse.boxes, fine.boxes)
    pixels, placements = plain.transform.batch([photo], plain.device)
    small = plain.head_detections(plain.forward_dense(pixels), placements)[0].masks.probabilities
    large = refined.head_detections(refined.forward_dense(pixels), placements)[0].masks.probabilities
    expected = F.interpolate(small.logit()[None], size=(56, 56), mode="bilinear")[0].sigmoid()
    torch.testing.assert_close(large, expected, atol=1e-5, rtol=1e-4)


def test_it_pools_the_features_of_stride_4() -> None:
    network = build([3, 4, 5], size=24, channels=8)
    features = network.neck(network.backbone(torch.rand(2, 3, 128, 128)))
    assert [f.shape[-1] for f in features] == [16, 8, 4, 32]
    boxes, photo = torch.tensor([[4.0, 8.0, 60.0, 100.0], [10.0, 10.0, 50.0, 30.0]]), torch.tensor([1, 0])
    seen: list[torch.Tensor] = []
    assert network.refinement is not None
    network.refinement.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        network.refine(features, LocatedBoxes(boxes, photo, torch.tensor([5.0, 3.0])), torch.zeros(2, 28, 28))
    regions = torch.cat([photo[:, None].float(), boxes], dim=1)
    torch.testing.assert_close(
        seen[0], roi_align(features[-1], regions, 24, 0.25, 2, aligned=False), atol=1e-5, rtol=1e-4
    )


def test_it_learns_what_the_coarse_mask_cannot_show() -> None:
    """Stripes half as wide as a coarse cell are grey there, where no loss below log 2 can be reached."""
    network = build([3, 4, 5], side=128, size=32, channels=16, pool_size=4).train()
    side, first, last = 128, 16, 112
    stripes = torch.zeros(1, side, side, dtype=torch.bool)
    stripes[:, first:last, first:last] = (torch.arange(last - first) // 6 % 2 == 0)[:, None]
    photo = stripes.float().expand(3, -1, -1) * 0.8 + 0.1
    box = torch.tensor([[float(first), float(first), float(last), float(last)]])
    target = Instances((side, side), box, torch.tensor([1]), PixelMasks(stripes))
    optimizer = torch.optim.Adam(network.parameters(), 0.005)
    for _ in range(100):
        losses = network.losses([photo], [target])
        optimizer.zero_grad()
        losses["total"].backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert losses["mask"] > 0.6
    assert losses["refined_mask"] < 0.3
