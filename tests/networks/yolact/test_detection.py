"""Three kinds of NMS on a few boxes whose overlaps are known."""

import pytest
import torch

from clothseg.config import InferenceSettings, SelectionSettings
from clothseg.networks.yolact.detection import Candidates, Selected, is_candidate, select

# Boxes 10 high: A from 0 to 100, B from 30 to 130, C from 60 to 160. IoU of neighbours 70 / 130, of A and C 0.25.
CHAIN = torch.tensor([[0.0, 0, 100, 10], [30, 0, 130, 10], [60, 0, 160, 10]])


def chosen(
    boxes: torch.Tensor, scores: torch.Tensor, nms: str, valid: torch.Tensor | None = None, **inference: float
) -> tuple[list[int], list[int], list[float]]:
    """Anchors, classes and scores of the detections of one photo."""
    valid = torch.ones(1, len(boxes), dtype=torch.bool) if valid is None else valid[None]
    settings = SelectionSettings.model_validate({"nms": nms})
    options = InferenceSettings.model_validate({"score_threshold": 0.0} | inference)
    found: Selected = select(Candidates(boxes[None], scores[None], valid), settings, options)
    count = int(found.valid.sum())
    assert found.valid[0, :count].all()  # the valid ones come first
    rows = (found.anchors, found.classes, found.scores)
    anchors, classes, values = (row[0, :count].tolist() for row in rows)
    torch.testing.assert_close(found.boxes[0, :count], boxes[anchors])
    return anchors, classes, [round(value, 4) for value in values]


def test_fast_nms_lets_a_dropped_box_drop_others() -> None:
    """B is dropped by A, and drops C all the same; greedy NMS keeps C."""
    scores = torch.tensor([[0.9], [0.8], [0.7]])
    assert chosen(CHAIN, scores, "fast")[0] == [0]
    assert chosen(CHAIN, scores, "traditional")[0] == [0, 2]
    assert chosen(CHAIN, scores, "fast", nms_iou=0.55)[0] == [0, 1, 2]


def test_classes_do_not_drop_each_other_unless_nms_is_across_them() -> None:
    boxes = CHAIN[[0, 0]]
    scores = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    assert chosen(boxes, scores, "fast") == ([0, 1], [1, 2], [0.9, 0.8])
    assert chosen(boxes, scores, "cross_class") == ([0], [1], [0.9])
    # Each anchor is one detection at most across classes; within classes it is one of each class.
    apart = torch.tensor([[0.0, 0, 10, 10], [50, 0, 60, 10]])
    assert chosen(apart, scores, "cross_class") == ([0, 1], [1, 2], [0.9, 0.8])
    assert chosen(apart, scores, "fast") == ([0, 1, 1, 0], [1, 2, 1, 2], [0.9, 0.8, 0.2, 0.1])


def test_an_overlap_at_the_threshold_is_kept_by_fast_nms_alone() -> None:
    """IoU exactly 1/2; greedy NMS counts each box one pixel wider and higher, and there it is 120 / 220."""
    boxes = torch.tensor([[0.0, 0, 20, 10], [0, 0, 10, 10]])
    scores = torch.tensor([[0.9], [0.8]])
    assert chosen(boxes, scores, "fast")[0] == [0, 1]
    assert chosen(boxes, scores, "traditional")[0] == [0]
    # One pixel wider and higher: 11 * 11 of 22 * 11, which is the threshold.
    exact = torch.tensor([[0.0, 0, 21, 10], [0, 0, 10, 10]])
    assert chosen(exact, scores, "traditional")[0] == [0]
    wider = torch.tensor([[0.0, 0, 22, 10], [0, 0, 10, 10]])
    assert chosen(wider, scores, "traditional")[0] == [0, 1]


def test_greedy_nms_works_on_negative_coordinates() -> None:
    """Classes are not moved apart by offsets, which need coordinates from 0."""
    boxes = torch.tensor([[-500.0, -500, 20, 20], [-500, -500, 20, 20]])
    scores = torch.tensor([[0.9, 0.0], [0.0, 0.8]])
    assert chosen(boxes, scores, "traditional")[0] == [0, 1]


def test_candidates_are_chosen_by_their_best_class() -> None:
    settings = SelectionSettings()
    scores = torch.tensor([[0.04, 0.05], [0.0501, 0.0], [0.3, 0.02]])
    low = InferenceSettings.model_validate({"score_threshold": 0.0})
    assert is_candidate(scores, settings, low).tolist() == [False, True, True]
    assert is_candidate(scores, settings, InferenceSettings(score_threshold=0.3)).tolist() == [False, False, True]


@pytest.mark.parametrize("nms", ["fast", "cross_class", "traditional"])
def test_detections_below_the_threshold_are_dropped_and_the_limit_holds(nms: str) -> None:
    boxes = torch.arange(6.0)[:, None] * 100 + torch.tensor([0.0, 0, 10, 10])
    scores = torch.tensor([[0.1], [0.6], [0.3], [0.5], [0.2], [0.4]])
    assert chosen(boxes, scores, nms, score_threshold=0.3)[2] == [0.6, 0.5, 0.4, 0.3]
    assert chosen(boxes, scores, nms, max_detections=2)[0] == [1, 3]


@pytest.mark.parametrize("nms", ["fast", "cross_class", "traditional"])
def test_candidates_that_are_not_valid_neither_are_found_nor_drop_others(nms: str) -> None:
    scores = torch.tensor([[0.9], [0.8], [0.7]])
    assert chosen(CHAIN, scores, nms, torch.tensor([False, False, True]))[0] == [2]
    assert chosen(CHAIN, scores, nms, torch.tensor([False, False, False]))[0] == []
    assert chosen(CHAIN[:0], scores[:0], nms)[0] == []


def test_only_the_first_of_a_class_are_compared() -> None:
    boxes = torch.arange(5.0)[:, None] * 100 + torch.tensor([0.0, 0, 10, 10])
    settings = SelectionSettings(pre_nms_top_n=2)
    scores = torch.tensor([[0.1, 0.9], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6], [0.5, 0.5]])
    every = Candidates(boxes[None], scores[None], torch.ones(1, 5, dtype=torch.bool))
    found = select(every, settings, InferenceSettings(score_threshold=0.0))
    assert found.anchors[0].tolist() == [0, 1, 4, 3]
    assert found.classes[0].tolist() == [2, 2, 1, 1]
