"""Calibrated scores: a score says how often such a detection is right.

Each class has a temperature and an offset: a score p becomes sigmoid(logit(p) / temperature + offset). The order of the
detections of one class stays, so its average precision stays; the order between classes may change.
Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017 (temperature); Platt, "Probabilistic Outputs
for Support Vector Machines", 1999 (offset).
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clothseg.instances.arrays import ArrayInstances, Found
from clothseg.instances.one_mask import to_array

TEMPERATURES = (0.5, 10.0)
OFFSETS = (-10.0, 1.5)
"""The lowest and the highest value. Within them, different float32 scores stay different as float64."""
REVIEW = (0.2, 0.7)
"""From the first to below the second, a calibrated score means that a person should look at the mask."""
_EDGE = 2.0**-25  # half the distance of the largest float32 score from 1


@dataclass(frozen=True)
class Calibration:
    """What makes scores mean how often a detection is right, for the classes 1..K of a network.

    Attributes:
        temperatures: one for each class, within `TEMPERATURES`.
        offsets: one for each class, within `OFFSETS`; added to the logit.
        detections: number of detections of each class that it was fitted to.
        photos: number of photos that it was fitted to.
        truth: fingerprint of their ground truth; these photos cannot judge it.

    Raises:
        ValueError: the lengths differ, or a value is not in its range.
    """

    temperatures: tuple[float, ...]
    offsets: tuple[float, ...]
    detections: tuple[int, ...]
    photos: int
    truth: str

    def __post_init__(self) -> None:
        if len({len(self.temperatures), len(self.offsets), len(self.detections)}) != 1:
            raise ValueError("a calibration needs a temperature, an offset and a count for each class")
        for name, values, (low, high) in (
            ("temperature", self.temperatures, TEMPERATURES),
            ("offset", self.offsets, OFFSETS),
        ):
            if not all(low <= value <= high for value in values):
                raise ValueError(f"a {name} of a calibration must be from {low:g} to {high:g}, but they are {values}")

    def scores(self, scores: NDArray[Any], classes: NDArray[np.int64]) -> NDArray[np.float64]:
        """Calibrated scores.

        Args:
            scores: `[N]` float in 0..1, as the network gives them.
            classes: `[N]` int, 1..K.

        Returns:
            `[N]` float64 in 0..1.
        """
        places = np.asarray(classes, dtype=np.int64) - 1
        raised = logit(scores) / np.array(self.temperatures)[places] + np.array(self.offsets)[places]
        return sigmoid(raised)

    def raw_scores(self, scores: NDArray[Any], classes: NDArray[np.int64]) -> NDArray[np.float64]:
        """The network's scores for calibrated ones: the inverse of `scores`, up to rounding."""
        places = np.asarray(classes, dtype=np.int64) - 1
        p = np.asarray(scores, dtype=np.float64)
        with np.errstate(divide="ignore"):
            logits = np.log(p) - np.log1p(-p)
        return sigmoid((logits - np.array(self.offsets)[places]) * np.array(self.temperatures)[places])

    def __call__(self, found: Found) -> Found:
        """The detections with calibrated scores (float64), the highest first."""
        if not len(found):
            return found
        new = self.scores(to_array(found.scores), to_array(found.classes))
        order = np.argsort(-new, kind="stable").tolist()
        if isinstance(found, ArrayInstances):
            return replace(found, scores=new.astype(np.float32))[order]
        import torch  # noqa: PLC0415

        return replace(found, scores=torch.from_numpy(new))[torch.tensor(order)]

    def to_json(self) -> str:
        """JSON text that `from_json` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str, classes: int) -> "Calibration":
        """Reads the text of `to_json`.

        Raises:
            ValueError, TypeError, KeyError: it is not a calibration for this number of classes.
        """
        tree = json.loads(text)
        temperatures, offsets = (tuple(map(float, tree[name])) for name in ("temperatures", "offsets"))
        if len(temperatures) != classes:
            raise ValueError(f"its calibration is for {len(temperatures)} classes, but it has {classes}")
        detections = tuple(map(int, tree["detections"]))
        return cls(temperatures, offsets, detections, int(tree["photos"]), str(tree["truth"]))

    def sentence(self, names: Sequence[str]) -> str:
        """Temperatures and offsets in one line, for people; `names` are those of the classes."""
        parts = [
            f"{name} {temperature:.2f} / {offset:+.2f}"
            for name, temperature, offset in zip(names, self.temperatures, self.offsets, strict=True)
        ]
        return f"temperature / offset: {', '.join(parts)}; fitted on {self.photos} photos"


def logit(scores: NDArray[Any]) -> NDArray[np.float64]:
    """log(p / (1 - p)) of scores `[N]` in 0..1, finite: 0 and 1 count as half a float32 step inside."""
    p = np.clip(np.asarray(scores, dtype=np.float64), _EDGE * _EDGE, 1 - _EDGE)
    return np.log(p) - np.log1p(-p)


def sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (1 + exp(-x)), without overflow."""
    return np.exp(-np.logaddexp(0.0, -values))


def needs_review(score: float) -> bool:
    """Whether a person should look at a mask with this calibrated score: it is neither surely right nor surely wrong.

    No other sign that was tried finds bad masks reliably better; docs/figures.md has the figures.
    """
    return REVIEW[0] <= score < REVIEW[1]
