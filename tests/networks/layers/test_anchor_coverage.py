"""The anchors' reach against all anchors one by one, and scales that raise it."""

import pytest
import torch
from torchvision.ops import box_iou

from clothseg.config import Config
from clothseg.networks.build import conventions_for
from clothseg.networks.layers.anchor_coverage import best_overlaps, boxes_in_network, fitting_scales, measure_reach
from clothseg.networks.layers.anchors import make_anchors

SIDES = ["picture.min_side=200", "picture.max_side=333"]
LEVELS = ["pyramid.levels=[2,3,4,5]", "anchors.scales=[[12, 20], [32, 41], [64, 80], [128, 170]]"]


@pytest.mark.parametrize("conventions", ["torchvision", "detectron2", "matterport"])
@pytest.mark.parametrize("resize", ["keep_ratio", "fit", "square"])
def test_the_nearest_anchor_overlaps_most(conventions: str, resize: str) -> None:
    more = [f"conventions={conventions}", f"picture.resize={resize}", "picture.height=250", "picture.width=190"]
    config = Config.load("paper", ["train.stages=[]", *SIDES, *LEVELS, *more])
    generator = torch.Generator().manual_seed(1)
    size = (150, 260)
    corner, extent = (torch.rand((80, 2), generator=generator) for _ in range(2))
    boxes = torch.cat([corner * 130, 1 + extent**2 * 90], dim=1)
    placed, inputs = boxes_in_network(config, [(size, boxes)])
    padded = tuple(inputs[0].tolist())
    sizes = [(-(-padded[0] // 2**level), -(-padded[1] // 2**level)) for level in config.pyramid.levels]
    anchors = torch.cat(make_anchors(config.anchors, config.pyramid.levels, sizes, padded, conventions_for(config)))
    expected = box_iou(placed.double(), anchors).max(dim=1).values
    found = best_overlaps(config, config.anchors.scales, placed, inputs)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)


def planted(sides: list[float], count: int = 60) -> torch.Tensor:
    """Boxes about as large as `sides` at random places of a photo of 512 x 512."""
    generator = torch.Generator().manual_seed(2)
    side = torch.tensor(sides).repeat(count, 1).T.reshape(-1, 1)
    extent = side * (1 + 0.2 * torch.rand((len(side), 2), generator=generator))
    return torch.cat([torch.rand((len(side), 2), generator=generator) * (512 - extent), extent], dim=1)


def test_scales_for_planted_boxes_reach_them() -> None:
    config = Config.load("paper", ["train.stages=[]", "anchors.scales=[[8],[9],[10],[11],[12]]"])
    photos = [((512, 512), planted([18, 36, 70, 140, 300]))]
    reach = measure_reach(config, photos)
    assert reach.boxes == 300
    assert reach.shares[0.5] < 0.1
    assert reach.better is not None
    assert reach.better_shares is not None
    assert reach.better_shares[0.5] > 0.9
    again = measure_reach(
        config.model_copy(update={"anchors": config.anchors.model_copy(update={"scales": reach.better})}), photos
    )
    assert again.shares == reach.better_shares
    assert again.better is None
    for scale, side in zip(reach.better, [18, 36, 70, 140, 300], strict=True):
        assert scale[0] == pytest.approx(side * 1.1, rel=0.1)


def test_good_anchors_are_left_alone_and_no_boxes_are_no_trouble() -> None:
    config = Config.load("paper")
    assert measure_reach(config, [((512, 512), planted([16, 32, 64, 128, 256]))]).better is None
    assert measure_reach(config, []).shares == {0.5: 0.0, 0.7: 0.0}
    assert fitting_scales(planted([50.0], 1), 3, 2)
