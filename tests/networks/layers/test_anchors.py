"""Anchors under each convention, against hand-computed values."""

import torch

from clothseg.config import AnchorSettings
from clothseg.networks.layers.anchors import AnchorConventions, cell_anchors, make_anchors
from clothseg.networks.mask_rcnn.conventions import DETECTRON2, MATTERPORT, TORCHVISION

WIDE, SQUARE = [-10.0, -2.5, 10, 2.5], [-5.0, -5, 5, 5]
LARGE_WIDE, LARGE_SQUARE = [-20.0, -5, 20, 5], [-10.0, -10, 10, 10]
SETTINGS = AnchorSettings(scales=((10.0, 20.0),), ratios=(0.25, 1.0))


def test_anchors_of_one_cell_match_hand_computed_values() -> None:
    scales, ratios = SETTINGS.scales[0], SETTINGS.ratios
    assert cell_anchors(scales, ratios, MATTERPORT.anchors).tolist() == [WIDE, LARGE_WIDE, SQUARE, LARGE_SQUARE]
    assert cell_anchors(scales, ratios, DETECTRON2.anchors).tolist() == [WIDE, SQUARE, LARGE_WIDE, LARGE_SQUARE]
    rounded = cell_anchors(scales, ratios, TORCHVISION.anchors).tolist()
    assert rounded == [[-10, -2, 10, 2], LARGE_WIDE, SQUARE, LARGE_SQUARE]


def test_anchor_steps_follow_the_conventions() -> None:
    """352 pixels on 6 rows: torchvision takes a step of 58, the others take the stride, 64."""
    for conventions, step in ((TORCHVISION, 58), (DETECTRON2, 64), (MATTERPORT, 64)):
        anchors = make_anchors(SETTINGS, (6,), [(6, 5)], (352, 320), conventions.anchors)[0]
        assert anchors.view(6, 5, 4, 4)[1, 0, 3].tolist() == [-10, step - 10, 10, step + 10]


def test_each_level_has_its_own_scale_and_stride() -> None:
    settings = AnchorSettings(scales=((8.0,), (16.0,)), ratios=(1.0,))
    fine, coarse = make_anchors(settings, (3, 4), [(2, 3), (1, 2)], (16, 24), MATTERPORT.anchors)
    assert fine.view(2, 3, 4)[1, 2].tolist() == [16 - 4, 8 - 4, 16 + 4, 8 + 4]
    assert coarse.tolist() == [[-8, -8, 8, 8], [16 - 8, -8, 16 + 8, 8]]
    assert fine.dtype == torch.float64


def test_centred_anchors_lie_in_the_middle_of_equal_cells() -> None:
    """50 pixels on 3 rows: centres at 8 1/3, 25 and 41 2/3, whatever the stride."""
    settings = AnchorSettings(scales=((6.0,),), ratios=(1.0, 4.0, 0.25))
    conventions = AnchorConventions(step="centred", scales_outer=True, round_corners=False)
    (anchors,) = make_anchors(settings, (4,), [(3, 2)], (50, 40), conventions)
    boxes = anchors.view(3, 2, 3, 4)
    centres = (boxes[..., :2] + boxes[..., 2:]) / 2
    torch.testing.assert_close(centres[:, 0, 0, 1], torch.tensor([50 / 6, 25, 250 / 6], dtype=torch.float64))
    torch.testing.assert_close(centres[0, :, 0, 0], torch.tensor([10.0, 30], dtype=torch.float64))
    assert (boxes[0, 0, :, 2:] - boxes[0, 0, :, :2]).tolist() == [[6, 6], [3, 12], [12, 3]]


def test_square_anchors_are_as_high_as_they_are_wide() -> None:
    conventions = AnchorConventions(round_corners=False, square=True)
    cells = cell_anchors((6.0,), (1.0, 4.0, 0.25), conventions)
    assert (cells[:, 2:] - cells[:, :2]).tolist() == [[6, 6], [3, 3], [12, 12]]
