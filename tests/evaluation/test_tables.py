"""Sentences and tables for a terminal."""

import pytest

from clothseg.evaluation.metrics import Metrics
from clothseg.evaluation.tables import comparison_table, new_table, table_text, verdict
from clothseg.evaluation.values import Comparison, Difference, Interval


def test_the_verdict_names_the_better_side_or_chance() -> None:
    def sentence(a: float, b: float, low: float, high: float) -> str:
        return verdict("mask_AP", Difference(a, b, Interval(low, high)))

    assert sentence(0.40, 0.431, 0.004, 0.058) == "B is better by 3.1 [0.4, 5.8] (mask_AP)."
    assert sentence(0.431, 0.40, -0.058, -0.004) == "A is better by 3.1 [0.4, 5.8] (mask_AP)."
    chance = "A is ahead by 3.1 [0.0, 5.8] (mask_AP), but this can be chance: the interval contains 0."
    assert sentence(0.431, 0.40, -0.058, 0.0) == chance
    assert sentence(0.4, 0.4, 0.0, 0.0) == "A and B are the same (mask_AP)."


def test_a_comparison_has_a_row_per_metric_and_ends_with_its_notes() -> None:
    differences = {
        "mask_AP": Difference(0.3, 0.2, Interval(-0.15, -0.05)),
        "box_AP": Difference(0.2, 0.21, Interval(-0.01, 0.03)),
    }
    text = comparison_table(Comparison(differences, 7, ("A: a note.",)), "first", "second")
    cells = [line.split() for line in text.splitlines() if "_AP  " in line]
    rows = {first: rest for first, *rest in cells}
    assert rows == {
        "mask_AP": ["30.0", "20.0", "-10.0", "[-15.0,", "-5.0]"],
        "box_AP": ["20.0", "21.0", "+1.0", "[-1.0,", "+3.0]"],
    }
    assert "A is better by 10.0 [5.0, 15.0] (mask_AP)." in text
    assert text.endswith("7 photos; both sides use the same bootstrap samples of them.\nA: a note.\n")


@pytest.mark.parametrize(
    ("low", "high", "shown"), [(-0.02, -0.0003, "-0.03"), (0.00004, 0.02, "0.004"), (0.0, 0.02, "0.0")]
)
def test_an_interval_beside_0_does_not_seem_to_reach_it(low: float, high: float, shown: str) -> None:
    between = Interval(low, high)
    text = comparison_table(Comparison({"box_AP": Difference(0.5, 0.5 + low, between)}, 7), "first", "second")
    row = next(line for line in text.splitlines() if line.strip().startswith("box_AP"))
    bounds = [bound.lstrip("+") for bound in row.split("[")[1].split("]")[0].split(", ")]
    assert shown in bounds


def test_metrics_without_values_are_dashes() -> None:
    text = Metrics({"mask_AP": None}, {}, 3, 0, notes=("A note.",)).table()
    assert "No metric has a value." in text
    assert text.endswith("0 detections on 3 photos.\nA note.\n")


def test_a_report_map_without_its_threshold_says_no_threshold() -> None:
    """As in metrics files of earlier versions."""
    values = {"report_mAP": 0.5}
    assert "not COCO's; score from 0.30" in Metrics(values, {}, 3, 0, report_score_threshold=0.3).table()
    row = next(line for line in Metrics(values, {}, 3, 0).table().splitlines() if "report_mAP" in line)
    assert row.rstrip().endswith("not COCO's")


def test_a_wide_table_is_not_cut() -> None:
    names = [f"a class with a long name {number}" for number in range(20)]
    table = new_table("", *names)
    table.add_row("row", *(f"{number}.25" for number in range(20)))
    text = table_text(table)
    assert "…" not in text
    assert [word for word in text.split() if word.endswith(".25")] == [f"{number}.25" for number in range(20)]
    assert all(name in text for name in names)
