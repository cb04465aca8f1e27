"""Sentences that explain metrics."""

import pytest

from clothseg.evaluation import ClassMetrics, Metrics
from clothseg.networks.layers.anchor_coverage import AnchorCoverage
from clothseg.report.text import anchors, duration, listed, subject, weakest_class


def metrics(**ap50: float | None) -> Metrics:
    classes = {name: ClassMetrics(4, {"mask_AP50": value}) for name, value in ap50.items()}
    return Metrics({"mask_AP50": 0.5}, classes, photos=3, detections=9)


def test_the_weakest_class_is_computed() -> None:
    assert weakest_class(metrics(Suit=0.7, Dress=0.251, Jeans=None)) == "Weakest class: Dress (AP50 25.1 on 4 objects)."
    assert weakest_class(metrics(Dress=0.2)) == ""
    assert weakest_class(metrics(Dress=0.0, Suit=0.0)) == ""


@pytest.mark.parametrize("name", ["Suit", "Dress", "Jeans", "Car"])
def test_the_sentence_is_the_same_for_every_class_name(name: str) -> None:
    sentence = weakest_class(metrics(**{name: 0.1, "Other": 0.2}))
    assert sentence == f"Weakest class: {name} (AP50 10.0 on 4 objects)."


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (8.23, "8.2 s"),
        (59.99, "1 min 00 s"),
        (231, "3 min 51 s"),
        (3599.9, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_lists_of_words() -> None:
    assert [listed(w) for w in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]


def test_anchor_coverage_is_explained_from_its_facts() -> None:
    good = AnchorCoverage(40, {0.5: 1.0, 0.7: 0.75}, ((32.0,),))
    assert anchors(good.facts()) == [
        "The anchors cover 100.0 % (IoU 0.5) and 75.0 % (IoU 0.7) of the 40 training boxes."
    ]
    poor = AnchorCoverage(40, {0.5: 0.5, 0.7: 0.25}, ((32.0,),), ((64.0,),), {0.5: 0.95, 0.7: 0.5})
    assert anchors(poor.facts()) == [
        "The anchors cover 50.0 % (IoU 0.5) and 25.0 % (IoU 0.7) of the 40 training boxes.",
        "Other scales cover more, 95.0 % (IoU 0.5) and 50.0 % (IoU 0.7): network.anchors.scales = [[64.0]].",
    ]


@pytest.mark.parametrize("facts", [None, {}, {"boxes": 3}, {"boxes": 3, "recall": 3}, "text", [1]])
def test_without_anchor_facts_there_is_no_sentence(facts: object) -> None:
    assert anchors(facts) == []


def test_without_training_boxes_there_is_no_sentence() -> None:
    assert anchors(AnchorCoverage(0, {0.5: 0.0, 0.7: 0.0}, ((32.0,),)).facts()) == []


def test_a_heading_names_few_classes_and_counts_many() -> None:
    assert subject(["Suit", "Dress", "Jeans"]) == "Suit, Dress and Jeans"
    assert subject([]) == "garments"
    assert subject(["A very long name"] * 200) == "200 kinds of objects"
