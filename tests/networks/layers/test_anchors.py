"""Anchors under each convention, against hand-computed values."""

import torch

from clothseg.config import AnchorSettings
from clothseg.networks.layers.anchors import cell_anchors, make_anchors
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
