"""Power laws recovered from values that were made with one."""

import numpy as np
import pytest
from scipy.optimize import curve_fit

from clothseg.errors import DataError
from clothseg.evaluation.power_law import extrapolate, fit_power_law

PHOTOS = [34, 67, 134, 268]


@pytest.mark.parametrize(("limit", "gain", "exponent"), [(0.6, 3.0, 0.7), (0.9, 1.0, 0.2), (0.5, 20.0, 1.2)])
def test_an_exact_power_law_is_found(limit: float, gain: float, exponent: float) -> None:
    values = [limit - gain * n**-exponent for n in PHOTOS]
    found = fit_power_law(PHOTOS, values)
    assert (found.limit, found.gain, found.exponent) == pytest.approx((limit, gain, exponent), rel=0.01)
    assert float(found.at(536)) == pytest.approx(limit - gain * 536**-exponent, abs=1e-4)


def test_noisy_values_against_another_least_squares_fit() -> None:
    rng = np.random.default_rng(3)
    counts = np.array([20, 40, 80, 160, 320, 640])
    values = 0.6 - 2.0 * counts**-0.6 + rng.normal(0, 0.005, 6)
    other, _ = curve_fit(lambda n, c, a, b: c - a * n**-b, counts, values, p0=[0.5, 1, 0.5], maxfev=20_000)
    found = fit_power_law(counts.tolist(), values)
    assert (found.limit, found.gain, found.exponent) == pytest.approx(other, rel=0.02)


def test_the_limit_is_at_most_one() -> None:
    found = fit_power_law([10, 20, 40, 80], [0.1, 0.3, 0.5, 0.7])
    assert found.limit <= 1
    assert float(found.at(10_000)) <= 1


@pytest.mark.parametrize(
    ("photos", "values", "reason"),
    [
        ([10, 20], [0.1, 0.2], "at least 3 parts"),
        ([10, 10, 20], [0.1, 0.1, 0.2], "at least 3 parts"),
        ([10, 20, 40], [0.3, 0.2, 0.1], "does not rise"),
        ([10, 20, 40], [0.3, 0.3, 0.3], "does not rise"),
        ([10, 20, 40], [0.3, float("nan"), 0.3], "no value"),
    ],
)
def test_what_cannot_be_fitted_is_said(photos: list[int], values: list[float], reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        fit_power_law(photos, values)
    found = extrapolate(photos, values, np.zeros((0, len(photos))), 80)
    assert (found.value, found.interval) == (None, None)
    assert reason in found.reason


def test_the_interval_contains_the_truth_and_widens_with_noise() -> None:
    rng = np.random.default_rng(0)
    true = np.array([0.6 - 3.0 * n**-0.7 for n in PHOTOS])
    widths = []
    for noise in (0.002, 0.02):
        found = extrapolate(PHOTOS, true.tolist(), true + rng.normal(0, noise, (60, 4)), 536)
        assert found.interval is not None
        assert found.interval.low < 0.6 - 3.0 * 536**-0.7 < found.interval.high
        widths.append(found.interval.high - found.interval.low)
    assert widths[0] < widths[1]


def test_without_an_interval_if_many_samples_do_not_rise() -> None:
    true = [0.6 - 3.0 * n**-0.7 for n in PHOTOS]
    samples = np.array([true, true[::-1], true[::-1]])
    found = extrapolate(PHOTOS, true, samples, 536)
    assert found.value is not None
    assert found.interval is None
    assert "2 of 3 bootstrap samples" in found.reason
