"""From head outputs to detections, against hand-computed values and NMS of all candidates."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torchvision.ops import batched_nms

from clothseg.config import Config, InferenceSettings
from clothseg.networks.mask_rcnn.conventions import CONVENTIONS, TORCHVISION
from clothseg.networks.mask_rcnn.network import MaskRCNNNetwork
from clothseg.networks.mask_rcnn.postprocess import BoxDetections, postprocess_detections, rescore_by_mask
from clothseg.networks.placement import InputPlacement, to_network_coords


def placement(side: int) -> InputPlacement:
    return InputPlacement(0, 0, side, side, (side, side), (side, side))


@pytest.mark.parametrize("max_detections", [10, 5000])
def test_postprocessing_many_boxes_matches_nms_of_all(max_detections: int) -> None:
    """With many candidates, NMS starts with the best ones. The result is that of NMS of all."""
    generator = torch.Generator().manual_seed(2)
    corner = torch.rand(900, 2, generator=generator) * 300
    proposals = torch.cat([corner, corner + 10 + torch.rand(900, 2, generator=generator) * 80], dim=1)
    logits = torch.randn(900, 6, generator=generator)
    settings = InferenceSettings(score_threshold=0.0, max_detections=max_detections, nms_iou=0.3)
    found = postprocess_detections(proposals, logits, torch.zeros(900, 6, 4), placement(400), settings, TORCHVISION)
    boxes, scores = proposals.repeat_interleave(5, 0), logits.softmax(-1)[:, 1:].flatten()
    classes = torch.arange(1, 6).repeat(900)
    keep = batched_nms(boxes, scores, classes, 0.3)[:max_detections]
    assert torch.equal(found.scores, scores[keep])
    assert torch.equal(found.classes, classes[keep])
    torch.testing.assert_close(found.boxes, boxes[keep])


@pytest.mark.parametrize("name", list(CONVENTIONS))
def test_detections_match_hand_computed_values(name: str) -> None:
    """Three proposals: two classes are likely in the first, background in the second, one class in the third.

    The third is shifted by half its width and clipped at the edge of the photo.
    """
    conventions = CONVENTIONS[name]
    proposals = torch.tensor([[0.0, 0, 20, 20], [60, 60, 80, 80], [60, 0, 100, 40]])
    logits = torch.tensor([[0.1, 0.6, 0.3], [0.5, 0.3, 0.2], [0.15, 0.05, 0.8]]).log()
    deltas = torch.zeros(3, 3, 4)
    deltas[2, 2, 0] = 5  # with weight 10
    settings = InferenceSettings(score_threshold=0.25)
    inside = to_network_coords(proposals, (100, 100), conventions.input)
    found = postprocess_detections(inside, logits, deltas, placement(100), settings, conventions)
    first, third, second = [0.0, 0, 20, 20], [80.0, 0, 100, 40], [60.0, 60, 80, 80]
    if conventions.single_class:
        scores, classes, boxes = [0.8, 0.6], [2, 1], [[79.5, 0, 100, 40], first]  # half of the width minus one pixel
    else:
        scores, classes, boxes = [0.8, 0.6, 0.3, 0.3], [2, 1, 2, 1], [third, first, first, second]
    assert found.scores.tolist() == pytest.approx(scores)
    order = torch.tensor([0, 1, *(2 + found.classes[2:].argsort(descending=True)).tolist()])  # two have equal scores
    assert found.classes[order].tolist() == classes
    expected = to_network_coords(torch.tensor(boxes), (100, 100), conventions.input)
    torch.testing.assert_close(found.boxes[order], expected)


@pytest.mark.parametrize(("name", "count"), [("torchvision", 0), ("detectron2", 0), ("matterport", 1)])
def test_a_score_equal_to_the_threshold_follows_the_conventions(name: str, count: int) -> None:
    logits = torch.tensor([[0.0, math.log(3)]])
    settings = InferenceSettings(score_threshold=float(logits.softmax(-1)[0, 1]))
    box = to_network_coords(torch.tensor([[0.0, 0, 20, 20]]), (100, 100), CONVENTIONS[name].input)
    found = postprocess_detections(box, logits, torch.zeros(1, 2, 4), placement(100), settings, CONVENTIONS[name])
    assert len(found.scores) == count


def test_mask_rescoring_matches_hand_computed_values() -> None:
    """Mask pixels of 0.5 and 0.7 give 0.6, pixels of 1 give 1. A mask without pixels gives 0 and is dropped."""
    masks = torch.tensor([[[0.5, 0.7], [0.4, 0.1]], [[1.0, 1.0], [1.0, 0.0]], [[0.4, 0.4], [0.4, 0.4]]])
    found = BoxDetections(torch.arange(12.0).reshape(3, 4), torch.tensor([1, 2, 3]), torch.tensor([0.9, 0.6, 0.5]))
    again, ordered = rescore_by_mask(found, masks, InferenceSettings(score_threshold=0.1))
    assert again.scores.tolist() == pytest.approx([0.6, 0.54])
    assert again.classes.tolist() == [2, 1]
    assert torch.equal(again.boxes, found.boxes[[1, 0]])
    assert torch.equal(ordered, masks[[1, 0]])


def test_mask_rescoring_changes_only_scores_and_order(
    build_mask_rcnn: Callable[[Config, int], MaskRCNNNetwork], sample_photos: list[Tensor]
) -> None:
    overrides = ["weights=random", "inference.score_threshold=0", "inference.max_detections=8"]
    plain, other = (
        build_mask_rcnn(Config.load("demo", [*overrides, f"inference.mask_rescoring={rescored}"]), 3)
        .eval()
        .detect(sample_photos[:1])[0]
        for rescored in ("false", "true")
    )
    assert plain.scores is not None
    assert other.scores is not None
    assert len(other) == len(plain) > 3
    assert torch.all(other.scores[:-1] >= other.scores[1:])
    places = [int((plain.boxes == box).all(1).nonzero()[0]) for box in other.boxes]
    assert sorted(places) == list(range(len(plain)))
    assert torch.all(other.scores < plain.scores[places])
    assert torch.equal(other.masks.pixels(), plain.masks.pixels()[places])
