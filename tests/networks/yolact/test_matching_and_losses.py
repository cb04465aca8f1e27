"""Which anchors learn what, and the four losses of a few anchors, by hand."""

import math
from functools import partial

import pytest
import torch

from clothseg import cpu_path
from clothseg.config import YolactAnchorSettings
from clothseg.networks.layers.box_targets import IGNORED, NEGATIVE, match_photos
from clothseg.networks.placement import InputPlacement
from clothseg.networks.transfer import TensorCache
from clothseg.networks.yolact.losses import (
    PositiveMasks,
    box_loss,
    class_loss,
    hard_negatives,
    mask_loss,
    semantic_loss,
    semantic_truth,
)
from clothseg.networks.yolact.masks import crop_windows, masks_on_grid
from clothseg.networks.yolact.matching import match_anchors

SETTINGS = YolactAnchorSettings()
NOTHING = torch.zeros((0, 4))


def strips(*spans: tuple[float, float]) -> torch.Tensor:
    """Boxes 10 high that go from the first to the second number, so that their IoU is that of the spans."""
    return torch.tensor([[low, 0.0, high, 10.0] for low, high in spans])


def test_thresholds_of_positive_neutral_and_negative_anchors() -> None:
    anchors = strips((0, 100), (0, 50), (0, 45), (0, 39), (200, 300))  # IoU 1, 0.5, 0.45, 0.39 and 0
    matches = match_anchors(anchors, strips((0, 100)), NOTHING, settings=SETTINGS)
    assert matches.tolist() == [0, 0, IGNORED, NEGATIVE, NEGATIVE]


def test_every_object_gets_its_own_best_anchor_whatever_the_overlap() -> None:
    """Both objects overlap the first anchor most. The one with the higher IoU takes it, the other its next best."""
    anchors = strips((0, 10), (8, 30), (90, 100))
    truth = strips((2, 11), (1, 10))  # IoU with the first anchor 8 / 11 and 9 / 10
    assert match_anchors(anchors, truth, NOTHING, settings=SETTINGS).tolist() == [1, 0, NEGATIVE]
    assert match_anchors(anchors, truth.flip(0), NOTHING, settings=SETTINGS).tolist() == [0, 1, NEGATIVE]


def test_best_anchors_of_many_objects_are_those_of_the_plain_search() -> None:
    """Against a search over all anchors for each object, the best pair first, on random boxes."""
    generator = torch.Generator().manual_seed(3)
    corners = torch.rand((60, 2), generator=generator) * 100
    anchors = torch.cat([corners, corners + 5 + torch.rand((60, 2), generator=generator) * 40], dim=1)
    corners = torch.rand((25, 2), generator=generator) * 100
    truth = torch.cat([corners, corners + 5 + torch.rand((25, 2), generator=generator) * 40], dim=1)
    low = torch.maximum(truth[:, None, :2], anchors[:, :2])
    high = torch.minimum(truth[:, None, 2:], anchors[:, 2:])
    inside = (high - low).clamp(min=0).prod(dim=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(dim=1) for boxes in (truth, anchors)]
    overlap = inside / (areas[0][:, None] + areas[1] - inside)
    expected, best = {}, overlap.clone()
    for _ in range(len(truth)):
        number, place = divmod(int(best.argmax()), len(anchors))
        expected[place] = number
        best[number], best[:, place] = -1, -1
    matches = match_anchors(anchors, truth, NOTHING, settings=SETTINGS)
    assert {place: int(matches[place]) for place in expected} == expected
    assert sorted(expected.values()) == list(range(25))


def test_photos_together_match_as_each_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """With different numbers of objects and crowds, none among them."""
    monkeypatch.setattr(cpu_path, "uses_cpu_path", lambda tensor: False)
    generator = torch.Generator().manual_seed(2)

    def draw(count: int) -> torch.Tensor:
        first = (torch.rand((count, 2), generator=generator) * 60).round()
        return torch.cat([first, first + (torch.rand((count, 2), generator=generator) * 30).round()], dim=1)

    anchors = draw(80) + torch.tensor([0, 0, 1, 1])
    truth, crowds = ([draw(count) for count in counts] for counts in ([6, 0, 1, 9], [0, 1, 0, 2]))
    match = partial(match_anchors, settings=SETTINGS)
    found = match_photos(match, anchors, truth, crowds)
    assert torch.equal(found, torch.stack([match(anchors, *pair) for pair in zip(truth, crowds, strict=True)]))
    assert set(range(9)) <= set(found[3].tolist())


def test_a_crowd_makes_anchors_neutral_that_are_not_positive() -> None:
    anchors = strips((0, 10), (20, 30), (22.5, 32.5), (24, 34), (60, 70))
    crowd = strips((0, 30))  # covers 1, 1, 0.75, 0.6 and 0 of the anchors
    matches = match_anchors(anchors, strips((0, 10)), crowd, settings=SETTINGS)
    assert matches.tolist() == [0, IGNORED, IGNORED, NEGATIVE, NEGATIVE]


def test_a_photo_without_objects_and_an_object_without_extent() -> None:
    anchors = strips((0, 10), (20, 30))
    assert match_anchors(anchors, NOTHING, NOTHING, settings=SETTINGS).tolist() == [NEGATIVE] * 2
    assert match_anchors(anchors, NOTHING, strips((0, 12)), settings=SETTINGS).tolist() == [IGNORED, NEGATIVE]
    assert match_anchors(anchors, strips((5, 5)), NOTHING, settings=SETTINGS).tolist() == [NEGATIVE] * 2


def test_hard_negatives_are_three_for_each_positive_of_the_same_photo() -> None:
    labels = torch.tensor([[1, 0, 0, 0, 0, -1], [0, 0, 0, 0, 0, 0]])
    logits = torch.zeros(2, 6, 2)
    logits[0, :, 1] = torch.tensor([9.0, 1, 4, 2, 3, 8])  # the larger, the more like an object
    logits[1, :, 1] = 50.0
    found = hard_negatives(logits, labels, 3.0)
    assert found.tolist() == [[False, False, True, True, True, False], [False] * 6]


def test_class_loss_is_the_sum_over_positives_and_hard_negatives() -> None:
    labels = torch.tensor([[2, 0, 0, -1]])
    logits = torch.tensor([[[0.0, 0, 1], [0, 0, 2], [0, 0, 0], [0, 9, 9]]])
    expected = math.log(2 + math.e) - 1 + math.log(2 + math.e**2)  # one negative for one positive: the second anchor
    assert float(class_loss(logits, labels, 1.0, 2.0)) == pytest.approx(expected / 2)


def test_box_loss_counts_positives_alone() -> None:
    deltas = torch.tensor([[[0.5, 0, 0, 3], [7, 7, 7, 7]]], requires_grad=True)
    loss = box_loss(deltas, torch.zeros(1, 2, 4), torch.tensor([[True, False]]), 1.0, 4.0)
    assert loss.item() == pytest.approx((0.125 + 2.5) / 4)
    loss.backward()  # type: ignore[no-untyped-call]
    assert deltas.grad is not None and not deltas.grad[0, 1].any()


def positive_masks(box: list[float], truth: torch.Tensor, logit: float = 0.0, positive: int = 1) -> PositiveMasks:
    """One prototype of ones on a grid of 10 x 10, so that the coefficient is the logit of every cell."""
    prototypes, coefficients = torch.ones(1, 10, 10), torch.tensor([[logit]])
    return PositiveMasks(prototypes, coefficients, torch.tensor([box]), truth[None], positive)


def test_the_crop_has_a_cell_more_on_each_side() -> None:
    """On an input of 100, a cell is 10 pixels: the box from 30 to 52 is cells 3 to 5.2, its crop 2 <= cell < 6.2."""
    window = crop_windows(torch.tensor([[30.0, 30, 52, 52]]), (100, 100), (10, 10), 1.0)[0]
    assert torch.where(window.any(dim=0))[0].tolist() == [2, 3, 4, 5, 6]
    assert int(window.sum()) == 25
    edge = crop_windows(torch.tensor([[-20.0, 0, 5, 200]]), (100, 100), (10, 10), 1.0)[0]
    assert torch.where(edge.any(dim=0))[0].tolist() == [0, 1] and edge[:, 0].all()
    swapped = crop_windows(torch.tensor([[52.0, 52, 30, 30]]), (100, 100), (10, 10), 1.0)[0]
    assert torch.equal(swapped, window)


def test_mask_loss_of_one_object() -> None:
    """At probability 1/2 each of the 25 cells in the crop costs log 2, whatever the truth; the box has 2.2² cells."""
    truth = torch.zeros(10, 10, dtype=torch.bool)
    truth[3:5, 3:5] = True
    loss = mask_loss(positive_masks([30, 30, 52, 52], truth), (100, 100), 1.0)
    assert float(loss) == pytest.approx(25 * math.log(2) / 2.2**2, rel=1e-5)
    truth[9, 9] = True  # outside the crop: the logarithm of 0, cut at 100
    loss = mask_loss(positive_masks([30, 30, 52, 52], truth), (100, 100), 1.0)
    assert float(loss) == pytest.approx((25 * math.log(2) + 100) / 2.2**2, rel=1e-5)


def test_mask_loss_makes_up_for_positives_that_were_not_drawn() -> None:
    truth = torch.zeros(10, 10, dtype=torch.bool)
    one, four = (
        mask_loss(positive_masks([30, 30, 52, 52], truth, positive=count), (100, 100), 1.0) for count in (1, 4)
    )
    assert float(four) == pytest.approx(4 * float(one))


def test_an_object_of_one_pixel_counts_as_one_cell() -> None:
    """Its box has 0.1 x 0.1 cells; divided by that area, its loss would be a hundred times as high."""
    truth = torch.zeros(10, 10, dtype=torch.bool)
    loss = mask_loss(positive_masks([34, 34, 35, 35], truth), (100, 100), 1.0)
    assert float(loss) == pytest.approx(4 * math.log(2), rel=1e-5)  # the crop is 2.4 <= cell < 4.5: cells 3 and 4


def test_saturated_probabilities_have_finite_losses_and_gradients() -> None:
    truth = torch.zeros(10, 10, dtype=torch.bool)
    truth[:, 0] = True
    photo = positive_masks([30, 30, 52, 52], truth, logit=200.0)
    photo.coefficients.requires_grad_()
    loss = mask_loss(photo, (100, 100), 1.0)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.isfinite() and photo.coefficients.grad is not None and photo.coefficients.grad.isfinite().all()


def test_semantic_truth_is_the_union_of_the_objects_of_a_class() -> None:
    maps = torch.zeros(3, 2, 2, dtype=torch.bool)
    maps[0, 0, 0] = maps[1, 0, 1] = maps[1, 0, 0] = maps[2, 1, 1] = True
    found = semantic_truth(maps, torch.tensor([2, 2, 1]), 3)
    assert found.tolist() == [[[0, 0], [0, 1]], [[1, 1], [0, 0]], [[0, 0], [0, 0]]]
    assert semantic_truth(maps[:0], torch.zeros(0, dtype=torch.int64), 3).sum() == 0


def test_semantic_loss_is_a_mean_over_places_and_photos() -> None:
    """At logit 0 every class costs log 2 at every place."""
    zeros = torch.zeros(4, 3, 5, 7)
    assert float(semantic_loss(zeros, zeros)) == pytest.approx(3 * math.log(2), rel=1e-5)


def test_truth_on_a_grid_lies_where_the_photo_lies_in_the_input() -> None:
    """A photo of 20 x 40 at the middle of an input of 40 x 40; cells of 10 pixels."""
    placement = InputPlacement(10, 0, 20, 40, (40, 40), (200, 400))
    masks = torch.zeros(1, 20, 40, dtype=torch.uint8)
    masks[0, :10, 20:] = 1  # rows 10 to 20 of the input, the right half
    found = masks_on_grid(masks, placement, (4, 4), TensorCache(4))
    assert found[0].int().tolist() == [[0, 0, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
