"""How a metric grows with the number of photos: a power law, and what it says about more photos.

AP(n) = limit - gain * n ** -exponent. The limit is what no number of photos exceeds.
Source: Hestness et al., "Deep Learning Scaling is Predictable, Empirically", 2017.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clothseg.errors import DataError
from clothseg.evaluation.intervals import percentile_interval
from clothseg.evaluation.values import Interval

EXPONENTS = (0.1, 2.0)
MIN_POINTS = 3
_MOST_FAILURES = 0.2  # of the bootstrap samples


@dataclass(frozen=True)
class PowerLaw:
    """AP(n) = limit - gain * n ** -exponent, with limit up to 1 and gain above 0."""

    limit: float
    gain: float
    exponent: float

    def at(self, photos: NDArray[Any] | float) -> NDArray[np.float64]:
        """The metric with this number of photos."""
        return np.asarray(self.limit - self.gain * np.asarray(photos, dtype=np.float64) ** -self.exponent)


@dataclass(frozen=True)
class Extrapolation:
    """What a power law says about more photos.

    Attributes:
        photos: their number.
        value: of the metric; None if no power law fits.
        interval: the middle 95 % over bootstrap samples of the validation photos; None if no power law fits to too many
            of them.
        law: the power law.
        reason: why there is no value or no interval; otherwise empty.
    """

    photos: int
    value: float | None = None
    interval: Interval | None = None
    law: PowerLaw | None = None
    reason: str = ""


def fit_power_law(photos: Sequence[int], values: Sequence[float] | NDArray[np.float64]) -> PowerLaw:
    """The power law with the smallest squared error.

    For each exponent, limit and gain are a linear problem with limits; the exponent is searched within `EXPONENTS`.

    Args:
        photos: number of photos of each part.
        values: the metric after training on it, in 0..1.

    Raises:
        DataError: there are fewer than three different numbers of photos, or the metric does not rise with them.
    """
    from scipy.optimize import lsq_linear, minimize_scalar  # noqa: PLC0415 - a third of a second

    counts, metric = np.asarray(photos, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if len(set(photos)) < MIN_POINTS:
        raise DataError(f"a power law needs at least {MIN_POINTS} parts of different sizes")
    if not np.isfinite(metric).all():
        raise DataError("a part has no value of the metric")
    scaled = counts / counts.max()

    def solve(exponent: float) -> Any:
        columns = np.stack([np.ones_like(scaled), -(scaled**-exponent)], axis=1)
        return lsq_linear(columns, metric, bounds=([-np.inf, 0.0], [1.0, np.inf]))

    grid = np.linspace(*EXPONENTS, 20)
    best = int(np.argmin([solve(exponent).cost for exponent in grid]))
    near = (float(grid[max(best - 1, 0)]), float(grid[min(best + 1, len(grid) - 1)]))
    exponent = float(minimize_scalar(lambda e: solve(e).cost, bounds=near, options={"xatol": 1e-6}).x)
    limit, gain = (float(value) for value in solve(exponent).x)
    if gain < 1e-6:
        raise DataError("the metric does not rise with the number of photos")
    return PowerLaw(limit, gain * float(counts.max()) ** exponent, exponent)


def extrapolate(
    photos: Sequence[int], values: Sequence[float], resampled: NDArray[np.float64], target: int, *, seed: int = 0
) -> Extrapolation:
    """The metric with `target` photos.

    Args:
        photos: number of photos of each part.
        values: the metric after training on it.
        resampled: `[R, parts]` float, the metric over bootstrap samples of the validation photos, the same samples for
            all parts.
        target: number of photos.
        seed: of these samples, for the record.
    """
    try:
        law = fit_power_law(photos, values)
    except DataError as error:
        return Extrapolation(target, reason=str(error))
    found = []
    for row in resampled:
        try:
            found.append(float(fit_power_law(photos, row).at(target)))
        except DataError:
            found.append(float("nan"))
    failed = int(np.isnan(found).sum())
    value = float(law.at(target))
    if not found or failed > _MOST_FAILURES * len(found):
        reason = f"no power law fits to {failed} of {len(found)} bootstrap samples, so there is no interval"
        return Extrapolation(target, value, None, law, reason)
    return Extrapolation(target, value, percentile_interval(found, 0.95, seed), law)
