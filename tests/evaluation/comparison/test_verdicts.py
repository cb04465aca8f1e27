"""Which side to take: named where the intervals allow it, and only there."""

from dataclasses import replace
from itertools import combinations

from clothseg.evaluation.comparison.text import several_table
from clothseg.evaluation.comparison.values import PairDifferences, SeveralComparison, SideMetrics, SourceFacts, Speed
from clothseg.evaluation.comparison.verdicts import verdict
from clothseg.evaluation.values import Difference, Interval


def comparison(
    values: dict[str, tuple[float, float]], half_width: float, times: dict[str, float] | None = None, spread: float = 0
) -> SeveralComparison:
    """Sides with mask AP and mIoU; every difference is known up to `half_width`, ratios of times up to `spread`."""
    names = ("mask_AP", "semantic_mIoU")
    sides = [
        SideMetrics(
            title, (SourceFacts(title),), dict(zip(names, of, strict=True)), {}, {}, None,
            Speed(times[title], 6, 5, "cpu", 1) if times else None,
        )
        for title, of in values.items()
    ]  # fmt: skip
    pairs = []
    for a, b in combinations(values, 2):
        changes = {
            name: Difference(first, second, Interval(second - first - half_width, second - first + half_width))
            for name, first, second in zip(names, values[a], values[b], strict=True)
        }
        ratio = times[b] / times[a] if times else 0.0
        pairs.append(
            PairDifferences(a, b, changes, (ratio, Interval(ratio - spread, ratio + spread)) if times else None)
        )
    return SeveralComparison(tuple(sides), tuple(pairs), 53)


def test_a_clear_winner_is_named_with_its_lead() -> None:
    first, second = verdict(comparison({"X": (0.2, 0.7), "Y": (0.5, 0.4), "Z": (0.3, 0.4)}, 0.05))
    assert first == ("To find each object and its mask, take Y: its mask AP is 20.0 [15.0, 25.0] points above Z.")
    assert "training seed" not in first
    assert second.startswith("For a map of the classes, take X: its mIoU is 30.0 [25.0, 35.0] points above ")


def test_a_small_lead_of_single_runs_may_come_from_the_seed() -> None:
    single = comparison({"X": (0.2, 0.5), "Y": (0.25, 0.5)}, 0.03)
    assert "can also come from the training seed" in verdict(single)[0]
    three = [replace(side, sources=side.sources * 3) for side in single.sides]
    text = verdict(replace(single, sides=tuple(three)))[0]
    assert text == "To find each object and its mask, take Y: its mask AP is 5.0 [2.0, 8.0] points above X."


def test_an_interval_beside_0_does_not_seem_to_reach_it() -> None:
    text = verdict(comparison({"X": (0.2, 0.5), "Y": (0.25, 0.5)}, 0.0497))[0]
    assert "its mask AP is 5.0 [0.03, 9.97] points above X" in text


def test_no_winner_is_named_where_the_intervals_contain_0() -> None:
    found = verdict(comparison({"X": (0.2, 0.7), "Y": (0.5, 0.4), "Z": (0.3, 0.4)}, 0.4))
    text = " ".join(found)
    assert text.count("these 53 photos cannot tell which is better") == 2
    assert "take" not in text
    assert not any(name in text for name in "XYZ")


def test_a_tie_at_the_top_is_said_and_the_worse_ones_are_named() -> None:
    first, _ = verdict(comparison({"X": (0.2, 0.5), "Y": (0.5, 0.5), "Z": (0.48, 0.5)}, 0.05))
    assert first == (
        "To find each object and its mask, these 53 photos cannot tell whether Y or Z is better, but Y is better "
        "than X (mask AP)."
    )


def test_the_fastest_is_named_only_if_the_measurements_agree() -> None:
    values = {"X": (0.2, 0.5), "Y": (0.2, 0.5), "Z": (0.2, 0.5)}
    times = {"X": 0.3, "Y": 0.1, "Z": 0.2}
    clear = verdict(comparison(values, 0.1, times, spread=0.05))[1]
    assert clear.endswith("Y is the fastest here (100 ms a photo; the others take 2.0 to 3.0 times as long).")
    equal = verdict(comparison(values, 0.1, times | {"Z": 0.301}, spread=0.05))[1]
    assert equal.endswith("(100 ms a photo; the others take 3.0 times as long).")
    close = verdict(comparison(values, 0.1, times | {"Z": 0.105}, spread=0.1))[1]
    assert close.endswith("Y and Z are about equally fast here.")


def test_the_table_marks_what_cannot_be_chance() -> None:
    text = several_table(comparison({"X": (0.2, 0.5), "Y": (0.5, 0.52)}, 0.05))
    rows = [line for line in text.splitlines() if "[" in line and ("mask_AP" in line or "mIoU" in line)]
    stars = {("mask_AP" if "mask_AP" in row else "mIoU"): row.rstrip().endswith("*") for row in rows}
    assert stars == {"mask_AP": True, "mIoU": False}
    assert "+30.0" in text
