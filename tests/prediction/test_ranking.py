"""The order for labelling: k-centre against brute force, near-duplicates, and real photos."""

import csv
import itertools
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from clothseg.config import Config
from clothseg.models import MaskRCNN
from clothseg.prediction.ranking import (
    COLUMNS,
    rank_for_labelling,
    spread_order,
    uncertainty,
    unit_features,
    write_ranking,
)

TINY = [
    "input.height=64",
    "input.width=64",
    "network.fpn.channels=16",
    "network.box_head.fc_dim=32",
    "network.mask_head.channels=16",
    "inference.score_threshold=0.0",
    "inference.max_detections=3",
]


def radius(points: NDArray[np.float64], centres: list[int]) -> float:
    """The largest distance of a point from its nearest centre."""
    return float(np.linalg.norm(points[:, None] - points[centres], axis=2).min(axis=1).max())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("count", [2, 3, 4])
def test_the_radius_is_at_most_twice_the_best(seed: int, count: int) -> None:
    """The guarantee of greedy k-centre, against all choices of centres."""
    points = np.random.default_rng(seed).normal(size=(12, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    chosen = [place for place, _, _ in spread_order(np.ones(12), points)[:count]]
    best = min(radius(points, list(centres)) for centres in itertools.combinations(range(12), count))
    assert radius(points, chosen) <= 2 * best + 1e-9


def test_every_step_takes_the_highest_product() -> None:
    rng = np.random.default_rng(1)
    points, doubts = rng.normal(size=(9, 2)), rng.uniform(0.1, 1, 9)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    order = spread_order(doubts, points)
    assert sorted(place for place, _, _ in order) == list(range(9))
    assert order[0] == (int(doubts.argmax()), 1.0, -1)
    for number, (place, distance, nearest) in enumerate(order[1:], start=1):
        before = [other for other, _, _ in order[:number]]
        to_before = np.linalg.norm(points[:, None] - points[before], axis=2) / 2
        products = doubts * to_before.min(axis=1)
        assert doubts[place] * distance == pytest.approx(products.max())
        assert distance == pytest.approx(np.linalg.norm(points[place] - points[nearest]) / 2)
    products = [doubts[place] * distance for place, distance, _ in order]
    assert products == sorted(products, reverse=True)


def test_a_copy_of_an_unsure_photo_comes_last() -> None:
    points = np.array([[1.0, 0], [1.0, 0], [0, 1], [-1, 0]])
    places = [place for place, _, _ in spread_order(np.array([0.9, 0.8, 0.2, 0.1]), points)]
    assert places[0] == 0
    assert places[-1] == 1


def test_uncertainty_counts_expected_wrong_decisions() -> None:
    assert uncertainty(np.array([0.9, 0.5, 0.2, 1.0])) == pytest.approx(0.1 + 0.5 + 0.2)
    assert uncertainty(np.zeros(0)) == 0


def test_equal_features_have_no_distance() -> None:
    assert unit_features(np.full((3, 4), 7, dtype=np.float32)).tolist() == np.zeros((3, 4)).tolist()


def test_photos_are_ranked_and_bad_ones_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (80, 60, 3), dtype=np.uint8) for _ in range(2)]
    pictures.append(np.full((50, 90, 3), 200, dtype=np.uint8))
    for name, picture in zip(("a", "copy of a", "b", "flat"), (pictures[0], *pictures), strict=True):
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    (tmp_path / "broken.png").write_text("no picture")
    model = MaskRCNN(Config.load("demo", TINY)).build(["Suit", "Dress"])
    ranked, unread = rank_for_labelling(model, sorted(tmp_path.glob("*.png")))
    assert len(unread) == 1
    assert "broken.png" in unread[0]
    by_name = {one.path.stem: one for one in ranked}
    assert by_name.keys() == {"a", "copy of a", "b", "flat"}
    later = max(("a", "copy of a"), key=lambda name: ranked.index(by_name[name]))
    assert by_name[later].distance == pytest.approx(0, abs=1e-5)
    assert ranked[-1] is by_name[later]
    assert "similar to" in by_name[later].why
    assert [one.score for one in ranked] == sorted((one.score for one in ranked), reverse=True)
    write_ranking(ranked, tmp_path / "ranking.csv")
    with (tmp_path / "ranking.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4"]
    assert rows[0]["file"] == ranked[0].path.as_posix()
