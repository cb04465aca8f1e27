"""Cuts by regions: the minimum cut against every possible cut, regions by their properties, gaps on a drawn photo."""

import itertools

import numpy as np
import pytest

from clothseg.garments import regions
from clothseg.garments.regions import cut_regions


def test_the_minimum_cut_is_the_best_of_all_cuts() -> None:
    generator = np.random.default_rng(0)
    pairs = np.array(list(itertools.combinations(range(7), 2)))
    for _ in range(20):
        odds = generator.normal(0, 3, 7).round(1)
        chosen = generator.random(len(pairs)) < 0.5
        one, other = pairs[chosen].T
        costs = generator.random(len(one)).round(1) * 4

        def energy(
            cut: np.ndarray, odds: np.ndarray = odds, edges: tuple[np.ndarray, ...] = (one, other, costs)
        ) -> float:
            return float(
                odds[~cut & (odds > 0)].sum()
                - odds[cut & (odds < 0)].sum()
                + edges[2][cut[edges[0]] != cut[edges[1]]].sum()
            )

        found = regions.minimum_cut(odds, regions.Borders(one, other, costs))
        best = min(energy(np.array(cut)) for cut in itertools.product([False, True], repeat=7))
        assert energy(found) == pytest.approx(best)


def test_every_pixel_is_in_one_region_and_regions_follow_colours() -> None:
    photo = np.zeros((60, 83, 3), np.uint8)
    photo[:, :41] = (200, 40, 30)
    photo[25:40, 10:70] = (30, 60, 220)
    numbers = regions.find_regions(photo)
    assert numbers.min() == 0
    assert len(np.unique(numbers)) == numbers.max() + 1
    assert 50 < numbers.max() < 60 * 83 / 4
    colours = photo.reshape(-1, 3).astype(np.int64) @ np.array([1, 256, 65536])
    of_region = [colours[numbers.ravel() == number] for number in range(numbers.max() + 1)]
    across = sum(len(seen) - np.unique(seen, return_counts=True)[1].max() for seen in of_region)
    assert across < 0.005 * numbers.size, "regions end at the edges of the picture, except in slivers of few pixels"


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 3), (4, 4), (6, 5)])
def test_tiny_crops(size: tuple[int, int]) -> None:
    colours = np.full((*size, 3), 90, np.uint8)
    assert cut_regions(colours, np.full(size, 0.9, np.float32)).all()
    assert not cut_regions(colours, np.full(size, 0.1, np.float32)).any()


def test_a_gap_that_the_network_doubts_opens_and_one_that_looks_like_the_garment_does_not() -> None:
    photo = np.full((200, 200, 3), (60, 110, 140), np.uint8)
    photo[40:160, 40:160] = (180, 60, 60)
    photo[90:110, 80:120] = (60, 110, 140)  # the background is seen through a gap
    noise = np.random.default_rng(1).normal(0, 4, photo.shape)
    photo = np.clip(photo + noise, 0, 255).astype(np.uint8)
    truth = np.zeros((200, 200), np.bool_)
    truth[40:160, 40:160] = True
    certainty = np.where(truth, 0.95, 0.05).astype(np.float32)
    certainty[85:115, 75:125] = 0.6  # more garment than not
    certainty[130:150, 60:140] = 0.6  # the same doubt where there is no gap
    truth[90:110, 80:120] = False
    cut = cut_regions(photo, certainty)
    assert np.count_nonzero(cut != truth) < 0.01 * np.count_nonzero(truth)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (2, 2), (9, 13)])
def test_borders_cost_what_a_loop_over_all_pairs_of_pixels_says(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(size[0] * 100 + size[1])
    found = rng.integers(0, min(6, size[0] * size[1]), size)
    numbers = np.unique(found, return_inverse=True)[1].reshape(size).astype(np.int32)
    lab = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
    pairs = [
        ((y, x), (y + down, x + across), (down * down + across * across) ** -0.5)
        for y, x in itertools.product(*map(range, size))
        for down, across in ((0, 1), (1, 0), (1, 1), (1, -1))
        if y + down < size[0] and 0 <= x + across < size[1]
    ]
    change = {pair[:2]: float(((lab[pair[0]].astype(float) - lab[pair[1]]) ** 2).sum()) for pair in pairs}
    usual = 2 * np.mean(list(change.values())) + 1e-6 if pairs else 1.0
    expected: dict[tuple[int, int], float] = {}
    for here, there, length in pairs:
        one, other = sorted((int(numbers[here]), int(numbers[there])))
        if one != other:
            apart = ((lab[numbers == one].mean(axis=0) - lab[numbers == other].mean(axis=0)) ** 2).sum()
            cost = length * (np.exp(-change[here, there] / usual) + np.exp(-apart / (2 * regions.MEAN_CHANGE**2)))
            expected[one, other] = expected.get((one, other), 0.0) + regions.EDGE_WEIGHT / 2 * cost
    borders = regions.find_borders(numbers, lab)
    answer = dict(zip(zip(borders.one.tolist(), borders.other.tolist(), strict=True), borders.cost, strict=True))
    assert answer == pytest.approx(expected)
