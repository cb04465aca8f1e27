"""Matching of boxes to ground truth, sampling and deltas against hand-computed values."""

import math
from functools import partial

import pytest
import torch

from clothseg import cpu_path
from clothseg.networks.layers.box_targets import (
    IGNORED,
    NEGATIVE,
    decode_boxes,
    draw_keys,
    encode_boxes,
    match_boxes,
    match_photos,
    sample,
)

TRUTH = torch.tensor([[0.0, 0, 10, 10], [100, 100, 110, 110]])
BOXES = torch.tensor(
    [
        [0.0, 0, 10, 10],  # IoU 1 with the first
        [0, 0, 10, 5],  # 0.5 with the first
        [0, 0, 10, 2],  # 0.2 with the first
        [100, 100, 140, 140],  # 1 / 16 with the second, its best match
        [60, 60, 160, 160],  # 0.01 with the second
        [300, 300, 310, 310],  # none
    ]
)
NO_BOXES = torch.zeros(0, 4)
WEIGHTS = (10.0, 10.0, 5.0, 5.0)


def matched(truth: torch.Tensor, ignored: torch.Tensor, *, keep_best: bool) -> list[int]:
    return match_boxes(BOXES, truth, ignored, foreground=0.7, background=0.3, keep_best=keep_best).tolist()


def test_matches_equal_hand_computed_values() -> None:
    rest = [NEGATIVE, NEGATIVE]
    assert matched(TRUTH, NO_BOXES, keep_best=False) == [0, IGNORED, NEGATIVE, NEGATIVE, *rest]
    assert matched(TRUTH, NO_BOXES, keep_best=True) == [0, IGNORED, NEGATIVE, 1, *rest]


def test_an_iou_equal_to_the_threshold_is_a_match() -> None:
    found = match_boxes(BOXES[:2], TRUTH, NO_BOXES, foreground=0.5, background=0.5, keep_best=False)
    assert found.tolist() == [0, 0]
    found = match_boxes(BOXES[:2], TRUTH, NO_BOXES, foreground=0.7, background=0.5, keep_best=False)
    assert found.tolist() == [0, IGNORED]


@pytest.mark.parametrize("ious", [1, 150, 10_000], ids=["one by one", "in groups", "together"])
@pytest.mark.parametrize("keep_best", [True, False])
@pytest.mark.parametrize("shared", [True, False])
def test_photos_together_match_as_each_alone(
    *, ious: int, keep_best: bool, shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With different numbers of objects and crowds, none among them, and boxes without extent."""
    monkeypatch.setattr(cpu_path, "uses_cpu_path", lambda tensor: False)
    monkeypatch.setattr("clothseg.networks.layers.box_targets._IOUS_TOGETHER", ious)
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> torch.Tensor:
        first = torch.rand((*shape, 2), generator=generator).mul(30).round()
        return torch.cat([first, first + torch.rand((*shape, 2), generator=generator).mul(20).round()], dim=-1)

    truth, crowds = ([draw(count) for count in counts] for counts in ([2, 0, 3, 1, 0], [0, 1, 0, 2, 0]))
    boxes = draw(24) if shared else draw(5, 24)
    boxes[..., 3, :] = 0
    for number, of_photo in enumerate(truth):
        places = slice(4 + 3 * number, 4 + 3 * number + len(of_photo))
        boxes[... if shared else number, places, :] = of_photo
    match = partial(match_boxes, foreground=0.5, background=0.2, keep_best=keep_best)
    found = match_photos(match, boxes, truth, crowds)
    alone = [match(boxes if shared else boxes[i], truth[i], crowds[i]) for i in range(5)]
    assert torch.equal(found, torch.stack(alone))
    assert {NEGATIVE, IGNORED, 0, 1, 2} == set(found.flatten().tolist())


def test_without_ground_truth_all_are_negative() -> None:
    assert matched(NO_BOXES, NO_BOXES, keep_best=True) == [NEGATIVE] * 6


def test_unmatched_boxes_in_a_crowd_are_ignored() -> None:
    crowd = torch.tensor([[0.0, 0, 20, 20], [305, 290, 400, 400], [60, 60, 160, 109]])
    expected = [
        0,
        IGNORED,
        IGNORED,
        NEGATIVE,
        NEGATIVE,
        IGNORED,
    ]  # the last is half in a crowd, the one before 0.49
    assert matched(TRUTH, crowd, keep_best=False) == expected
    assert matched(NO_BOXES, crowd, keep_best=False) == [IGNORED] * 3 + [NEGATIVE, NEGATIVE, IGNORED]


def keys(count: int, *seeds: int) -> torch.Tensor:
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return draw_keys([count] * len(seeds), generators, torch.device("cpu"))


def test_samples_have_the_requested_size_and_positive_fraction() -> None:
    matches = torch.tensor([[0] * 10 + [NEGATIVE] * 30 + [IGNORED] * 20]).expand(3, -1)
    chosen, found = sample(matches, 16, 0.25, keys(60, 0, 0, 1))
    assert found.tolist() == [[0] * 4 + [NEGATIVE] * 12] * 3
    assert torch.equal(matches.gather(1, chosen), found)
    assert all(len(set(photo)) == 16 for photo in chosen.tolist())
    assert torch.equal(chosen[0], chosen[1])
    assert not torch.equal(chosen[0], chosen[2])


def test_the_highest_keys_are_sampled() -> None:
    matches = torch.tensor([[7, NEGATIVE, 5, IGNORED, 6, NEGATIVE, NEGATIVE]])
    random = torch.tensor([[0.1, 0.2, 0.3, 0.9, 0.2, 0.8, 0.0]])
    chosen, found = sample(matches, 4, 0.5, random)
    assert chosen.tolist() == [[2, 4, 5, 1]]  # the positive of key 0.1 and the negative of key 0 are left out
    assert found.tolist() == [[5, 6, NEGATIVE, NEGATIVE]]


def test_negatives_fill_the_sample_if_positives_are_few() -> None:
    matches = torch.tensor([[3, NEGATIVE, NEGATIVE, NEGATIVE, NEGATIVE]])
    chosen, found = sample(matches, 4, 0.5, keys(5, 0))
    assert found.tolist() == [[3, NEGATIVE, NEGATIVE, NEGATIVE]]
    assert chosen[0, 0] == 0
    chosen, found = sample(matches, 100, 0.5, keys(5, 0))
    assert found.tolist() == [[3, NEGATIVE, NEGATIVE, NEGATIVE, NEGATIVE]]
    assert sorted(chosen[0].tolist()) == [0, 1, 2, 3, 4]


def test_places_that_no_box_fills_are_ignored() -> None:
    """Two positives where one is allowed, one negative, two ignored: the sample has two boxes, not three."""
    matches = torch.tensor([[0, 0, NEGATIVE, IGNORED, IGNORED]])
    chosen, found = sample(matches, 3, 0.4, keys(5, 2))
    assert found.tolist() == [[0, NEGATIVE, IGNORED]]
    assert chosen[0, 1] == 2
    assert sample(matches, 3, 0.0, keys(5, 2))[1].tolist() == [[NEGATIVE, IGNORED, IGNORED]]


def test_every_positive_is_sampled_equally_often() -> None:
    """Of four positives two are drawn, 4,000 times: each about 2,000 times, with a standard deviation of 32."""
    matches = torch.tensor([[0, NEGATIVE, 0, 0, NEGATIVE, 0]]).expand(4000, -1)
    generator = torch.Generator().manual_seed(0)
    chosen, _ = sample(matches, 4, 0.5, torch.rand((4000, 6), generator=generator))
    counts = chosen[:, :2].flatten().bincount(minlength=6).tolist()
    assert counts[1] == counts[4] == 0
    assert all(abs(counts[number] - 2000) < 150 for number in (0, 2, 3, 5))


def test_keys_of_a_photo_do_not_depend_on_other_photos() -> None:
    generators = [torch.Generator().manual_seed(number) for number in (3, 4)]
    both = draw_keys([5, 9], generators, torch.device("cpu"))
    assert torch.equal(both[:1, :5], keys(5, 3))
    assert torch.equal(both[1:], keys(9, 4))
    assert not both[0, 5:].any()


def test_deltas_match_hand_computed_values() -> None:
    """The centre moves from (5, 10) to (10, 30): half the width and one height. The height doubles."""
    reference, box = torch.tensor([[0.0, 0, 10, 20]]), torch.tensor([[5.0, 10, 15, 50]])
    deltas = encode_boxes(box, reference, WEIGHTS)
    torch.testing.assert_close(deltas, torch.tensor([[5.0, 10, 0, 5 * math.log(2)]]))
    torch.testing.assert_close(decode_boxes(deltas, reference, WEIGHTS, math.inf), box)


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0, 1.0), WEIGHTS])
def test_decoding_undoes_encoding(weights: tuple[float, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    corner, extent = (torch.rand((2, 100, 2), generator=generator) * 200 + 1 for _ in range(2))
    boxes, references = torch.cat([corner, corner + extent], dim=2)
    deltas = encode_boxes(boxes, references, weights)
    torch.testing.assert_close(decode_boxes(deltas, references, weights, math.inf), boxes, atol=1e-3, rtol=1e-5)


def test_deltas_of_all_classes_use_the_same_reference() -> None:
    references = torch.tensor([[0.0, 0, 10, 10], [20, 20, 40, 40]])
    deltas = torch.zeros(2, 3, 4)
    deltas[1, 2, 0] = 5  # half a width, with weight 10
    found = decode_boxes(deltas, references, WEIGHTS, math.inf)
    assert found.shape == (2, 3, 4)
    assert torch.equal(found[:, 0], references)
    assert found[1, 2].tolist() == [30, 20, 50, 40]


def test_large_deltas_are_clipped() -> None:
    deltas = torch.tensor([[0.0, 0, 500, 0]])
    found = decode_boxes(deltas, torch.tensor([[0.0, 0, 10, 10]]), WEIGHTS, math.log(3))
    torch.testing.assert_close(found, torch.tensor([[-10.0, 0, 20, 10]]))  # three times as wide
