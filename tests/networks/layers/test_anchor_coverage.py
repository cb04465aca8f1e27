"""Anchor coverage against a search over all anchors, and suggested scales."""

import pytest
import torch
from torchvision.ops import box_iou

from clothseg.config import AnchorSettings, Config, MaskRCNNSettings
from clothseg.networks.input import InputTransform
from clothseg.networks.layers.anchor_coverage import (
    AnchorLayout,
    best_ious,
    boxes_in_input,
    measure_anchor_coverage,
    suggest_scales,
)
from clothseg.networks.layers.anchors import AnchorConventions, make_anchors
from clothseg.networks.mask_rcnn.conventions import conventions_for
from clothseg.networks.placement import InputConventions

INPUT_SIDES = ["input.min_side=200", "input.max_side=333"]
LEVELS = ["network.fpn.levels=[2,3,4,5]", "network.anchors.scales=[[12, 20], [32, 41], [64, 80], [128, 170]]"]
SIDES = [18.0, 36, 70, 140, 300]


def layout_for(config: Config) -> AnchorLayout:
    settings, conventions = config.network, conventions_for(config)
    assert isinstance(settings, MaskRCNNSettings)
    transform = InputTransform(config.input, conventions.input)
    return AnchorLayout(transform, settings.fpn.levels, settings.anchors, conventions.anchors)


@pytest.mark.parametrize("conventions", ["torchvision", "detectron2", "matterport"])
@pytest.mark.parametrize("resize", ["keep_ratio", "fit", "square"])
def test_best_ious_match_a_search_over_all_anchors(conventions: str, resize: str) -> None:
    more = [f"network.conventions={conventions}", f"input.resize={resize}", "input.height=250", "input.width=190"]
    layout = layout_for(Config.load("paper", ["train.stages=[]", *INPUT_SIDES, *LEVELS, *more]))
    generator = torch.Generator().manual_seed(1)
    size = (150, 260)
    corner, extent = (torch.rand((80, 2), generator=generator) for _ in range(2))
    boxes = torch.cat([corner * 130, 1 + extent**2 * 90], dim=1)
    placed, inputs = boxes_in_input(layout.transform, [(size, boxes)])
    padded = (int(inputs[0, 0]), int(inputs[0, 1]))
    sizes = [(-(-padded[0] // 2**level), -(-padded[1] // 2**level)) for level in layout.levels]
    anchors = torch.cat(make_anchors(layout.settings, layout.levels, sizes, padded, layout.conventions))
    expected = box_iou(placed.double(), anchors).max(dim=1).values
    found = best_ious(layout, layout.settings.scales, placed, inputs)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("square", [True, False])
@pytest.mark.parametrize("resize", ["stretch", "fit"])
def test_best_ious_of_centred_anchors_match_a_search_over_all(resize: str, square: bool) -> None:
    """On an input whose sides the strides do not divide."""
    settings = Config.for_network("yolact").input.model_copy(update={"resize": resize, "height": 250, "width": 190})
    transform = InputTransform(settings, InputConventions(size_divisor=1))
    scales = ((12.0, 20.0), (32.0, 41.0), (64.0, 80.0), (128.0, 170.0))
    anchors_of = AnchorSettings(scales=scales, ratios=(1.0, 2.0, 0.5))
    conventions = AnchorConventions(step="centred", scales_outer=True, round_corners=False, square=square)
    layout = AnchorLayout(transform, (3, 4, 5, 6), anchors_of, conventions)
    generator = torch.Generator().manual_seed(1)
    corner, extent = (torch.rand((80, 2), generator=generator) for _ in range(2))
    boxes = torch.cat([corner * 130, 1 + extent**2 * 90], dim=1)
    placed, inputs = boxes_in_input(transform, [((150, 260), boxes)])
    assert inputs[0].tolist() == [250, 190]
    sizes = [(-(-250 // 2**level), -(-190 // 2**level)) for level in layout.levels]
    anchors = torch.cat(make_anchors(anchors_of, layout.levels, sizes, (250, 190), conventions))
    expected = box_iou(placed.double(), anchors).max(dim=1).values
    torch.testing.assert_close(best_ious(layout, scales, placed, inputs), expected, atol=1e-6, rtol=1e-6)


def boxes_of_sides(sides: list[float], count: int = 60) -> torch.Tensor:
    """Boxes about as large as `sides` at random places of a photo of 512 x 512."""
    generator = torch.Generator().manual_seed(2)
    side = torch.tensor(sides).repeat(count, 1).T.reshape(-1, 1)
    extent = side * (1 + 0.2 * torch.rand((len(side), 2), generator=generator))
    return torch.cat([torch.rand((len(side), 2), generator=generator) * (512 - extent), extent], dim=1)


def test_suggested_scales_cover_the_boxes() -> None:
    overrides = ["train.stages=[]", "network.anchors.scales=[[8],[9],[10],[11],[12]]"]
    photos = [((512, 512), boxes_of_sides(SIDES))]
    coverage = measure_anchor_coverage(layout_for(Config.load("paper", overrides)), photos)
    assert coverage.boxes == 300
    assert coverage.recall[0.5] < 0.1
    assert coverage.better is not None
    assert coverage.better_recall is not None
    assert coverage.better_recall[0.5] > 0.9
    overrides[1] = f"network.anchors.scales={[list(level) for level in coverage.better]}"
    again = measure_anchor_coverage(layout_for(Config.load("paper", overrides)), photos)
    assert again.recall == coverage.better_recall
    assert again.better is None
    for scale, side in zip(coverage.better, SIDES, strict=True):
        assert scale[0] == pytest.approx(side * 1.1, rel=0.1)


def test_good_anchors_and_empty_data_need_no_suggestion() -> None:
    layout = layout_for(Config.load("paper"))
    assert measure_anchor_coverage(layout, [((512, 512), boxes_of_sides([16, 32, 64, 128, 256]))]).better is None
    empty = measure_anchor_coverage(layout, [])
    assert empty.recall == {0.5: 0.0, 0.7: 0.0}
    assert empty.problem() == ""
    assert suggest_scales(boxes_of_sides([50.0], 1), 3, 2)
