"""Measured times: medians and ratios by hand, and real networks."""

from pathlib import Path

import numpy as np
import pytest

from clothseg.config import Config
from clothseg.errors import PhotoError
from clothseg.evaluation.comparison.values import PairDifferences, SeveralComparison, SideMetrics, SourceFacts
from clothseg.models import MaskRCNN
from clothseg.report.comparison.speed import Timings, measure, with_speed
from clothseg.runs import RunFolder

from ..conftest import NAMES
from ..test_evaluate_run import TINY


def test_medians_and_ratios_by_hand() -> None:
    first = np.array([[1.0, 2.0], [1.2, 2.2]])
    timings = Timings(np.stack([first, 3 * first, [[0.5, 9.0], [0.5, 9.0]]]), "cpu", 2)
    assert timings.speed(0).seconds == pytest.approx(1.6)
    assert (timings.speed(1).photos, timings.speed(1).rounds) == (2, 2)
    ratio, interval = timings.ratio(0, 1)
    assert (ratio, interval.low, interval.high) == pytest.approx((3, 3, 3))
    mixed, wide = timings.ratio(0, 2)
    assert wide.low < 1 < wide.high
    assert mixed == pytest.approx(np.median([0.5, 4.5, 0.5 / 1.2, 9 / 2.2]))


def test_sides_without_a_network_have_no_speed() -> None:
    sides = tuple(SideMetrics(title, (SourceFacts(title),), {}, {}, {}, None) for title in "XYZ")
    pairs = (PairDifferences("X", "Y", {}), PairDifferences("X", "Z", {}), PairDifferences("Y", "Z", {}))
    timings = Timings(np.array([[[2.0]], [[1.0]]]), "cpu", 1)
    found = with_speed(SeveralComparison(sides, pairs, 1), timings, ["Z", "X"])
    assert [side.speed and side.speed.seconds for side in found.sides] == [1.0, None, 2.0]
    assert [pair.time_ratio and pair.time_ratio[0] for pair in found.pairs] == [None, 2.0, None]


def test_networks_are_timed_in_turn(tmp_path: Path, data: Path) -> None:
    folder = RunFolder(tmp_path / "tiny")
    config = Config.load("demo", TINY)
    MaskRCNN(config).build(NAMES).save(folder.weights)
    folder.config.write_text(config.to_yaml())
    calls: list[tuple[int, int, int]] = []

    def progress(items: list[tuple[int, int, int]], total: int, what: str, /) -> list[tuple[int, int, int]]:
        calls.extend(items)
        assert total == len(items)
        return items

    photos = [data / "images/val-0.png", data / "images/val-1.png", data / "images/nowhere.png"]
    timings = measure([folder.path, folder.path], photos, rounds=2, device="cpu", progress=progress)  # type: ignore[arg-type]
    assert timings.seconds.shape == (2, 2, 2)
    assert (timings.seconds > 0).all()
    assert [network for _, _, network in calls] == [0, 1] * 6
    with pytest.raises(PhotoError, match="--no-speed"):
        measure([folder.path], photos[2:], device="cpu")
