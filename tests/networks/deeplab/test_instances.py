"""Instances of planted label maps: connected parts, and centers that separate what touches."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from clothseg.config import CenterSettings
from clothseg.networks.deeplab.instances import (
    FoundCenters,
    find_centers,
    group_by_centers,
    group_by_connection,
    nearest_centers,
)

PLANTED = torch.tensor(
    [
        [1, 1, 0, 2, 2],
        [1, 0, 0, 0, 2],
        [0, 1, 0, 1, 0],
        [0, 0, 0, 1, 1],
    ]
)


@pytest.mark.parametrize(
    ("connectivity", "areas"), [(4, [(1, 1), (1, 3), (1, 3), (2, 3)]), (8, [(1, 3), (1, 4), (2, 3)])]
)
def test_parts_of_a_planted_map(connectivity: int, areas: list[tuple[int, int]]) -> None:
    groups = group_by_connection(PLANTED, torch.ones((4, 5)), connectivity)
    found = sorted(zip(groups.classes.tolist(), groups.areas.tolist(), strict=True))
    assert found == areas
    for row, (label, area) in enumerate(zip(groups.classes, groups.areas, strict=True), start=1):
        assert (PLANTED[groups.ids == row] == label).all() and int((groups.ids == row).sum()) == area
    assert torch.equal(groups.ids > 0, PLANTED > 0)


def test_score_is_the_mean_probability_and_the_box_is_around_the_part() -> None:
    probabilities = torch.full((4, 5), 0.5)
    probabilities[0, 3], probabilities[0, 4], probabilities[1, 4] = 0.9, 0.7, 0.2
    groups = group_by_connection(PLANTED, probabilities, 8)
    row = groups.classes.tolist().index(2)
    assert groups.scores[row].item() == pytest.approx(0.6)
    assert groups.boxes[row].tolist() == [3, 0, 5, 2]


def test_two_touching_objects_of_a_class_are_one_part() -> None:
    labels = torch.zeros((6, 12), dtype=torch.int64)
    labels[1:5, 1:6] = 1
    labels[1:5, 6:11] = 1
    assert group_by_connection(labels, torch.ones((6, 12)), 8).areas.tolist() == [40]


def test_centers_separate_two_touching_objects_of_a_class() -> None:
    logits, heat, offsets = torch.zeros((2, 6, 12)), torch.zeros((6, 12)), torch.zeros((2, 6, 12))
    logits[1] = -90
    logits[1, 1:5, 1:11] = 90
    for x, columns in ((3, range(1, 6)), (8, range(6, 11))):
        heat[3, x] = 0.8
        for column in columns:
            offsets[1, :, column] = x - column
            offsets[0, :, column] = 3 - torch.arange(6)
    things = torch.tensor([False, True])
    groups, _ = group_by_centers(logits, heat, offsets, things, CenterSettings(nms_kernel=3))
    assert groups.areas.tolist() == [20, 20] and groups.classes.tolist() == [1, 1]
    assert groups.boxes.tolist() == [[1, 1, 6, 5], [6, 1, 11, 5]]
    assert groups.ids[2, 5] == 1 and groups.ids[2, 6] == 2 and groups.ids[0, 0] == 0
    # The heat map is read at the truncated middle of the mask: (2, 3) and (2, 8), where nothing was planted.
    assert groups.scores.tolist() == [0, 0]
    heat[2, 3], heat[2, 8] = 0.7, 0.6
    scores = group_by_centers(logits, heat, offsets, things, CenterSettings(nms_kernel=3))[0].scores
    assert scores.tolist() == pytest.approx([0.7, 0.6], abs=1e-6)


def test_an_equally_near_center_is_the_first() -> None:
    centers = FoundCenters(torch.tensor([[0, 4], [0, 0]]), torch.tensor([True, True]))
    assert nearest_centers(centers, torch.zeros((2, 1, 5)))[0].tolist() == [2, 2, 1, 1, 1]


def test_without_centers_no_pixel_has_an_instance() -> None:
    none = FoundCenters(torch.zeros((0, 2), dtype=torch.int64), torch.zeros(0, dtype=torch.bool))
    assert not nearest_centers(none, torch.zeros((2, 3, 4))).any()


@given(st.integers(0, 2**31), st.integers(1, 6))
def test_centers_of_fixed_shape_are_those_of_the_cpu(seed: int, top_k: int) -> None:
    heat = torch.rand((9, 11), generator=torch.Generator().manual_seed(seed)).mul(8).floor() / 8
    settings = CenterSettings(nms_kernel=3, top_k=top_k, threshold=0.3)
    found = find_centers(heat, settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("clothseg.cpu_path.uses_cpu_path", lambda tensor: False)
        padded = find_centers(heat, settings)
    assert len(padded.points) == top_k
    assert torch.equal(padded.points[padded.valid], found.points) and found.valid.all()
