"""The targets of small scenes, by hand."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from clothseg.config import InputSettings
from clothseg.instances import Instances, PixelMasks
from clothseg.networks.deeplab.targets import (
    IGNORED,
    Segments,
    center_target,
    make_segments,
    semantic_target,
    small_object_weights,
)
from clothseg.networks.input import InputTransform
from clothseg.networks.placement import InputConventions, InputPlacement
from clothseg.networks.target import Target


def scene(*rectangles: tuple[int, int, int, int], crowds: int = 0) -> tuple[Target, InputPlacement]:
    """A photo of 8 x 10 in an input of 8 x 12; rectangles top, left, bottom, right of class 1, 2, ...; crowds last."""
    masks = torch.zeros((len(rectangles), 8, 10), dtype=torch.bool)
    for mask, (top, left, bottom, right) in zip(masks, rectangles, strict=True):
        mask[top:bottom, left:right] = True
    count = len(rectangles)
    crowd = torch.arange(count) >= count - crowds
    of_photo = PixelMasks(masks)
    truth = Instances((8, 10), of_photo.boxes(), torch.arange(1, count + 1), of_photo, crowd=crowd)
    transform = InputTransform(InputSettings(resize="none"), InputConventions(size_divisor=4))
    placement = replace(transform.place((8, 10)), padded=(8, 12))  # a real input has 32 pixels or more
    return transform.target(truth, placement), placement


def test_background_instances_and_padding() -> None:
    labels = semantic_target(make_segments(*scene((0, 0, 4, 5), (6, 8, 8, 10))))
    expected = torch.zeros((8, 12), dtype=torch.int64)
    expected[:4, :5], expected[6:, 8:10], expected[:, 10:] = 1, 2, IGNORED
    assert torch.equal(labels, expected)


def test_the_smaller_of_two_overlapping_instances_is_on_top_in_any_order() -> None:
    large, small = (0, 0, 6, 6), (2, 2, 4, 4)
    for rectangles, on_top in (((large, small), 2), ((small, large), 1)):
        labels = semantic_target(make_segments(*scene(*rectangles)))
        assert labels[3, 3] == on_top and labels[0, 0] == 3 - on_top


def test_pixels_of_a_crowd_are_ignored_unless_an_instance_has_them() -> None:
    labels = semantic_target(make_segments(*scene((0, 0, 4, 4), (2, 2, 8, 8), crowds=1)))
    assert labels[3, 3] == 1 and labels[5, 5] == IGNORED and labels[0, 9] == 0


def test_a_photo_whose_every_pixel_is_a_crowd_has_no_label() -> None:
    segments = make_segments(*scene((0, 0, 8, 10), crowds=1))
    assert (semantic_target(segments) == IGNORED).all()
    target = center_target(segments, 2.0)
    assert not target.heat.any() and not target.center_weight.any() and not target.offset_weight.any()


def test_no_objects() -> None:
    segments = make_segments(*scene())
    assert set(semantic_target(segments).flatten().tolist()) == {0, IGNORED}
    assert not center_target(segments, 2.0).heat.any()


def test_centers_offsets_and_weights_of_a_rectangle() -> None:
    segments = make_segments(*scene((1, 2, 4, 7)))
    target = center_target(segments, 1.0)
    assert target.heat.argmax() == 2 * 12 + 4 and target.heat.max() == 1
    assert math.isclose(float(target.heat[2, 6]), math.exp(-2), rel_tol=1e-6)
    assert target.heat[2, 9] == 0  # beyond 3 sigma + 1
    assert target.offsets[:, 1, 2].tolist() == [1, 2] and target.offsets[:, 7, 0].tolist() == [0, 0]
    assert target.center_weight[:, :10].all() and not target.center_weight[:, 10:].any()
    assert int(target.offset_weight.sum()) == 15


def test_a_center_between_pixels_rounds_to_the_even_one_and_offsets_do_not_round() -> None:
    segments = make_segments(*scene((0, 1, 1, 3)))  # center at x 1.5
    target = center_target(segments, 1.0)
    assert target.heat.argmax() == 2 and target.offsets[1, 0, 1:3].tolist() == [0.5, -0.5]


def test_one_pixel_objects_and_objects_at_the_edge() -> None:
    target = center_target(make_segments(*scene((0, 0, 1, 1), (7, 9, 8, 10))), 1.0)
    assert target.heat[0, 0] == 1 and target.heat[7, 9] == 1
    assert not target.offsets[:, 0, 0].any() and not target.offsets[:, 7, 9].any()


def test_the_higher_of_two_gaussians_counts() -> None:
    target = center_target(make_segments(*scene((0, 0, 1, 1), (0, 3, 1, 4))), 1.0)
    assert math.isclose(float(target.heat[0, 1]), math.exp(-0.5), rel_tol=1e-6)


def test_small_objects_weigh_more() -> None:
    segments = make_segments(*scene((0, 0, 2, 2), (4, 4, 8, 8)))
    weights = small_object_weights(segments, 5, 3.0)
    assert weights[0, 0] == 3 and weights[5, 5] == 1 and weights[7, 0] == 1 and weights[0, 11] == 1


def test_three_hundred_objects() -> None:
    places = [(y, x, y + 1, x + 1) for y in range(8) for x in range(10)] * 4
    segments = make_segments(*scene(*places[:300]))
    labels: Tensor = semantic_target(segments)
    assert (labels[:, :10] > 0).all() and center_target(segments, 8.0).heat[:, :10].min() == 1


def test_a_segment_without_pixels_has_no_center() -> None:
    ids = torch.zeros((4, 4), dtype=torch.int64)
    things = torch.tensor([False, True])
    segments = Segments(ids, torch.tensor([0, 1]), things, torch.zeros(2, dtype=torch.bool))
    assert not center_target(segments, 1.0).heat.any()
