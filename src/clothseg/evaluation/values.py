"""The values that an evaluation computes, as plain data. Files, tables and pages are made from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ClassMetrics:
    """The metrics of one class.

    Attributes:
        instances: number of objects of the class, crowds not counted.
        values: `box_AP`, `box_AP50`, `box_AP75`, `box_AR_100`, and the same with `mask_` and `boundary_`, in 0..1. None
            if there is no object of the class, or if the detections have no masks.
    """

    instances: int
    values: Mapping[str, float | None]


@dataclass(frozen=True)
class Curve:
    """The precision-recall curve of one class at IoU .50.

    Attributes:
        precision: 101 values, at recall 0, 0.01, ... 1; interpolated as COCO does, so it never rises.
        scores: the lowest score needed for each of these recalls; 0 for a recall that is never reached.
    """

    precision: tuple[float, ...]
    scores: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.precision) != len(self.scores):
            raise ValueError(f"a curve has {len(self.precision)} precisions and {len(self.scores)} scores")


@dataclass(frozen=True)
class Threshold:
    """The score with the best F1 at IoU .50, and precision and recall at that score."""

    score: float
    f1: float
    precision: float
    recall: float


@dataclass(frozen=True)
class Confusion:
    """The confusion matrix at IoU .50.

    Attributes:
        classes: K names.
        counts: `K+1` rows of `K+1`: a row for each true class, a column for each predicted class; the last is
            background.
        threshold: only detections with at least this score count.
    """

    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    threshold: float

    def __post_init__(self) -> None:
        sides = {len(self.counts), *map(len, self.counts)}
        if sides != {len(self.classes) + 1}:
            raise ValueError(f"the confusion matrix of {len(self.classes)} classes has rows of {sorted(sides)} counts")


@dataclass(frozen=True)
class ErrorKind:
    """One kind of error: how often it occurs, and the gain in AP50 (0..1) if only this kind were corrected."""

    count: int
    cost: float


@dataclass(frozen=True)
class FalsePositivesOnEmpty:
    """Detections on photos without objects.

    Attributes:
        photos: number of photos without objects.
        photos_with_detections: how many of them have a detection with at least `threshold`.
        detections: number of these detections.
        threshold: only detections with at least this score count.
    """

    photos: int
    photos_with_detections: int
    detections: int
    threshold: float


@dataclass(frozen=True)
class Interval:
    """The middle `level` of a metric over `resamples` bootstrap samples of the photos, in the metric's unit (0..1)."""

    low: float
    high: float
    level: float = 0.95
    resamples: int = 500
    seed: int = 0

    def __str__(self) -> str:
        return f"{self.level:.0%} interval {100 * self.low:.1f} to {100 * self.high:.1f} over photos"


@dataclass(frozen=True)
class ReliabilityBin:
    """Detections with scores in one of the bins of equal width: their number, mean score, and share of right ones."""

    count: int
    score: float
    right: float


@dataclass(frozen=True)
class Reliability:
    """How well scores say how often detections are right, at IoU .50.

    Attributes:
        expected_error: the expected calibration error (ECE), 0..1.
        brier: the mean squared distance between a score and 1 (right) or 0 (wrong).
        bins: of equal width, from score 0 to 1.
    """

    expected_error: float
    brier: float
    bins: tuple[ReliabilityBin, ...]


@dataclass(frozen=True)
class CalibrationCheck:
    """A calibration, and the reliability of the scores before and after it.

    Attributes:
        before: of the network's own scores.
        after: of calibrated scores.
        cross_fitted: whether these photos chose the calibration, so that `after` has for each photo the scores of a
            calibration that was fitted to other photos.
        temperatures, offsets: by class name.
        errors_before, errors_after: expected calibration error by class name.
        photos: number of photos that the calibration was fitted to.
    """

    before: Reliability
    after: Reliability
    cross_fitted: bool
    temperatures: Mapping[str, float]
    offsets: Mapping[str, float]
    errors_before: Mapping[str, float]
    errors_after: Mapping[str, float]
    photos: int


@dataclass(frozen=True)
class MetricValues:
    """The metrics of one set of detections, as fractions in 0..1. Tables and pages show them as 0..100.

    From `curves` on, values are for masks, or for boxes if there are no masks.

    Attributes:
        overall: `box_AP`, `box_AP50`, `box_AP75`, `box_AP_small`, `box_AP_medium`, `box_AP_large`, `box_AR_1`,
            `box_AR_10`, `box_AR_100`, the same with `mask_` and `boundary_`, and `report_mAP`, which is not COCO's.
            None if the ground truth has nothing to measure with.
        classes: by class name, in the order of the category ids.
        intervals: by the name of a metric in `overall`.
        photos: number of photos, including those without objects.
        detections: number of detections.
        notes: sentences that a reader of the metrics should know.
        curves: by class name, for classes with objects.
        thresholds: the best score threshold by class name.
        threshold: the best one for all classes together; values that need one threshold use it.
        confusion: the confusion matrix.
        errors: by kind: class, location, both, duplicate, background, missed.
        false_positives_on_empty: on photos without objects; None if there is no such photo.
        report_score_threshold: of `report_mAP`.
        truth: fingerprint of the ground truth. Evaluations with the same fingerprint can be compared.
        reliability: of the scores; None without detections, or if a score is not in 0..1.
        calibration: what calibration changed; None if the scores are the network's own.
        box_only: number of objects that have a box and no mask, which are judged for boxes only.
    """

    overall: Mapping[str, float | None]
    classes: Mapping[str, ClassMetrics]
    photos: int
    detections: int
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    curves: Mapping[str, Curve] = field(default_factory=dict)
    thresholds: Mapping[str, Threshold] = field(default_factory=dict)
    threshold: Threshold | None = None
    confusion: Confusion | None = None
    errors: Mapping[str, ErrorKind] = field(default_factory=dict)
    false_positives_on_empty: FalsePositivesOnEmpty | None = None
    report_score_threshold: float | None = None
    truth: str = ""
    reliability: Reliability | None = None
    calibration: CalibrationCheck | None = None
    box_only: int = 0


@dataclass(frozen=True)
class Difference:
    """One metric of A and of B, fractions in 0..1; `interval` is that of B minus A."""

    a: float
    b: float
    interval: Interval

    @property
    def change(self) -> float:
        """B minus A."""
        return self.b - self.a

    @property
    def significant(self) -> bool:
        """Whether the interval does not contain 0."""
        return self.interval.low > 0 or self.interval.high < 0


@dataclass(frozen=True)
class Comparison:
    """The differences by the name of the metric, the most important first; `photos` is the number of photos."""

    differences: Mapping[str, Difference]
    photos: int
    notes: tuple[str, ...] = ()
