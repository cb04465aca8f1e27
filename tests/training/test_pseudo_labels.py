"""Which detections of a teacher become objects, boxes, ignored regions, or nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from clothseg.config import UnlabelledSettings
from clothseg.dataset import CocoLikeDataset
from clothseg.dataset.unlabelled import with_unlabelled
from clothseg.errors import RunError
from clothseg.instances import BoxMasks, Instances, PixelMasks, decode, encode
from clothseg.training.pseudo_labels import (
    Candidate,
    Findings,
    PseudoLabels,
    class_thresholds,
    expected_objects,
    find_candidates,
    judged,
    to_annotations,
)
from clothseg.training.second_opinion import Opinion, Verdict

SIZE = (8, 10)
SETTINGS = UnlabelledSettings(score_threshold=0.5, ignore_threshold=0.2, mask_score_threshold=0.8)


def box_mask(top: int, left: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros(SIZE, dtype=np.bool_)
    mask[top : top + height, left : left + width] = True
    return mask


def candidate(score: float, class_id: int = 1, mask_score: float = 0.9) -> Candidate:
    return Candidate(class_id, score, mask_score, encode(box_mask(1, 2, 3, 4)))


def dataset(classes: list[list[int]], crowd: int = 0) -> CocoLikeDataset:
    """Photos with objects of these classes; the ids in the file are ten times the classes' numbers."""
    made = CocoLikeDataset()
    for number, name in enumerate(("Suit", "Dress"), start=1):
        made.add_class("coco", 10 * number, name)
    for number, of_photo in enumerate(classes, start=1):
        rows = [{"image_id": number, "category_id": 10 * c, "iscrowd": crowd} for c in of_photo]
        made.add_image(number, Path(f"{number}.png"), *SIZE, rows)  # type: ignore[arg-type]
    return made.prepare()


def instances(masks: list[np.ndarray], classes: list[int], scores: list[float]) -> Instances:
    pixels = torch.from_numpy(np.stack(masks))
    boxes = PixelMasks(pixels).boxes()
    return Instances(SIZE, boxes, torch.tensor(classes), PixelMasks(pixels), torch.tensor(scores))


def test_detections_below_the_ignore_threshold_are_background() -> None:
    found = instances([box_mask(0, 0, 2, 2), box_mask(4, 4, 2, 2)], [1, 2], [0.2, 0.19])
    assert [one.score for one in find_candidates(found, SETTINGS)] == [pytest.approx(0.2)]


def test_of_two_classes_for_one_object_the_better_is_taken() -> None:
    same, other = box_mask(1, 1, 4, 4), box_mask(5, 6, 2, 2)
    found = instances([same, same, other], [1, 2, 2], [0.6, 0.7, 0.3])
    kept = find_candidates(found, SETTINGS)
    assert [(one.class_id, round(one.score, 1)) for one in kept] == [(2, 0.7), (2, 0.3)]
    assert np.array_equal(decode(kept[0].mask), same)


def test_the_mask_score_is_the_mean_probability_of_the_masks_pixels() -> None:
    probabilities = torch.full((1, 28, 28), 0.75)
    boxes = torch.tensor([[2.0, 1.0, 6.0, 4.0]])
    found = Instances(SIZE, boxes, torch.tensor([1]), BoxMasks(probabilities, boxes, SIZE), torch.tensor([0.9]))
    [one] = find_candidates(found, SETTINGS)
    soft = found.masks.soft()[0]
    expected = soft[soft >= 0.5].mean()
    assert one.mask_score == pytest.approx(float(expected)) and 0.5 < one.mask_score <= 0.75


def test_no_detections_give_no_candidates() -> None:
    found = Instances(SIZE, torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), PixelMasks(torch.zeros(0, *SIZE) > 0))
    assert find_candidates(found, SETTINGS) == []


def test_a_class_that_is_found_more_often_than_expected_needs_a_higher_score() -> None:
    # 4 photos; 0.5 Suits are expected on each, so 2 in all; the 2nd best Suit has 0.8. Dresses are rarer than expected.
    found = [[candidate(0.9), candidate(0.7)], [candidate(0.8)], [candidate(0.6), candidate(0.65, class_id=2)], []]
    assert class_thresholds(found, {1: 0.5, 2: 1.0}, SETTINGS) == {1: 0.8, 2: 0.5}


def test_a_class_without_labels_still_needs_the_lowest_score() -> None:
    assert class_thresholds([[candidate(0.3)]], {1: 0.0, 2: 0.0}, SETTINGS) == {1: 0.5, 2: 0.5}


def test_expected_objects_are_counted_on_labelled_photos_without_crowds() -> None:
    labelled = dataset([[1, 1, 2], [1]])
    assert expected_objects(labelled) == {1: 1.5, 2: 0.5}
    assert expected_objects(with_unlabelled(labelled, [(Path("x.png"), *SIZE)])) == {1: 1.5, 2: 0.5}
    assert expected_objects(dataset([[1], [2]], crowd=1)) == {1: 0.0, 2: 0.0}


def test_annotations_are_objects_boxes_and_ignored_regions() -> None:
    found = [candidate(0.9, 2), candidate(0.9, 2, mask_score=0.79), candidate(0.49, 1)]
    mask, box, ignored = to_annotations(found, 7, {1: 0.5, 2: 0.9}, SETTINGS, dataset([[1]]))
    assert [row["iscrowd"] for row in (mask, box, ignored)] == [0, 0, 1]
    assert [row["category_id"] for row in (mask, box, ignored)] == [20, 20, 10]
    assert [bool(row["segmentation"]) for row in (mask, box, ignored)] == [True, False, True]
    assert mask["bbox"] == box["bbox"] == [2.0, 1.0, 4.0, 3.0] and mask["area"] == 12.0
    assert np.array_equal(decode(mask["segmentation"]), box_mask(1, 2, 3, 4))
    labels = PseudoLabels(3, [[mask, ignored], [ignored], [], [box]])
    assert labels.used == [0, 3]
    assert labels.counts() == {"masks": 1, "boxes": 1, "ignored": 2}


def test_a_doubted_candidate_is_ignored_and_does_not_count() -> None:
    doubted = replace(candidate(0.95), doubted=True)
    assert class_thresholds([[doubted, candidate(0.8)], [candidate(0.9)]], {1: 1.0}, SETTINGS) == {1: 0.8}
    rows = to_annotations([doubted, candidate(0.6)], 7, {1: 0.5}, SETTINGS, dataset([[1]]))
    assert [row["iscrowd"] for row in rows] == [1, 0]


TROUSERS = 0
"""A class that the training does not have."""


def opinion(*seen: tuple[int, float, np.ndarray]) -> Opinion:
    classes, scores, masks = zip(*seen, strict=True) if seen else ((), (), ())
    return Opinion([*classes], [*scores], [encode(mask) for mask in masks])


def test_a_second_opinion_agrees_doubts_or_contradicts() -> None:
    here, half, elsewhere = box_mask(1, 2, 3, 4), box_mask(1, 2, 3, 2), box_mask(6, 6, 2, 2)
    mask = encode(here)
    cases = {
        Verdict.AGREES: [
            opinion((1, 0.2, here)),
            opinion((1, 0.9, here), (TROUSERS, 0.9, here)),
            opinion((1, 0.3, half), (TROUSERS, 0.9, elsewhere)),  # an IoU of 0.5 is enough
        ],
        Verdict.CONTRADICTS: [
            opinion((TROUSERS, 0.5, here)),
            opinion((2, 0.6, here), (1, 0.59, here)),
            opinion((TROUSERS, 0.7, here), (1, 0.9, elsewhere)),
        ],
        Verdict.DOUBTS: [opinion(), opinion((1, 0.19, here)), opinion((TROUSERS, 0.49, here), (1, 0.4, here))],
    }
    for verdict, opinions in cases.items():
        assert [one.verdict(1, mask, SETTINGS) for one in opinions] == [verdict] * len(opinions)


def test_what_a_second_opinion_changes_on_a_photo() -> None:
    here, there = box_mask(1, 2, 3, 4), box_mask(5, 6, 3, 3)
    suit, dress = Candidate(1, 0.9, 0.9, encode(here)), Candidate(2, 0.8, 0.9, encode(there))
    trousers = opinion((TROUSERS, 0.9, here))
    assert judged([suit, dress], trousers, {1, 2}, SETTINGS) == Findings([], contradicted=1, empty=True)
    assert judged([suit, dress], trousers, {1}, SETTINGS) == Findings([dress], contradicted=1), "no say on dresses"
    elsewhere = opinion((TROUSERS, 0.9, here), (2, 0.3, box_mask(0, 8, 2, 2)))
    doubted = replace(dress, doubted=True)
    assert judged([suit, dress], elsewhere, {1, 2}, SETTINGS) == Findings([doubted], contradicted=1)
    assert judged([suit], elsewhere, {1, 2}, SETTINGS) == Findings([], contradicted=1), (
        "a dress that the teacher missed"
    )


def test_labels_of_other_photos_are_refused() -> None:
    state = PseudoLabels(3, [[], []]).state_dict()
    assert PseudoLabels.from_state(state, 2) == PseudoLabels(3, [[], []])
    earlier = {"sure_scores" if key == "class_thresholds" else key: value for key, value in state.items()}
    earlier = {key: value for key, value in earlier.items() if key not in ("empty", "contradicted")}
    assert PseudoLabels.from_state(earlier, 2) == PseudoLabels(3, [[], []])
    with pytest.raises(RunError, match="2 photos"):
        PseudoLabels.from_state(state, 3)
