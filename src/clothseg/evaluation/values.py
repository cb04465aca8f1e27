"""What an evaluation finds, as plain values that files, tables and pages are made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Figures = Mapping[str, float | None]


@dataclass(frozen=True)
class ClassMetrics:
    """One class.

    Attributes:
        instances: objects of the class in the truth, crowds not counted.
        figures: `box_AP`, `box_AP50`, `box_AP75`, `box_AR_100`, and the same with `mask_` and `boundary_`, in 0..1;
            None where the truth has no object to judge by, or the detections have no masks.
    """

    instances: int
    figures: Figures


@dataclass(frozen=True)
class Curve:
    """Precision over recall of one class at IoU .50.

    Attributes:
        precision: 101 values, at recall 0, 0.01, ... 1; interpolated as COCO does, so that it only falls.
        scores: the score from which on each of these recalls is reached; 0 where it never is.
    """

    precision: tuple[float, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True)
class Threshold:
    """The score with the best F1 at IoU .50, and what precision and recall are with it."""

    score: float
    f1: float
    precision: float
    recall: float


@dataclass(frozen=True)
class Confusion:
    """What was taken for what at IoU .50.

    Attributes:
        classes: names, K of them.
        counts: `K+1` rows of `K+1`: a row for each true class, a column for each found one; the last is background.
        threshold: detections with at least this score were counted.
    """

    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    threshold: float


@dataclass(frozen=True)
class ErrorKind:
    """One kind of mistake: how often, and by how much AP50 would rise (0..1) if only this kind were put right."""

    count: int
    cost: float


@dataclass(frozen=True)
class FalsePositivesOnEmpty:
    """What was found on photos without objects: `detections` with at least `threshold` on `alarmed` of `photos`."""

    photos: int
    alarmed: int
    detections: int
    threshold: float


@dataclass(frozen=True)
class Interval:
    """The middle `level` of a figure over `resamples` of the photos, in the figure's own unit (0..1)."""

    low: float
    high: float
    level: float = 0.95
    resamples: int = 500
    seed: int = 0

    def __str__(self) -> str:
        return f"{self.level:.0%} interval {100 * self.low:.1f} to {100 * self.high:.1f} over photos"


@dataclass(frozen=True)
class MetricValues:
    """What one set of detections is worth. Figures are fractions in 0..1; tables and pages show them as 0..100.

    Attributes:
        overall: `box_AP`, `box_AP50`, `box_AP75`, `box_AP_small`, `box_AP_medium`, `box_AP_large`, `box_AR_1`,
            `box_AR_10`, `box_AR_100`, the same with `mask_` and `boundary_`, and `report_mAP`, which is not COCO's;
            None where the truth has nothing to judge by.
        classes: by class name, in the order of the truth's category ids.
        intervals: by the name of a figure of `overall`.
        photos: photos in the truth, those without objects included.
        detections: detections that were judged.
        notes: what a reader of the figures should know, as sentences.
        curves: by class name, where the truth has objects of it. Of masks, or of boxes where there are no masks, like
            all that follows.
        thresholds: the best score threshold by class name.
        threshold: the best one for all classes together; what is counted at one threshold is counted at this.
        confusion: what was taken for what.
        errors: mistakes by kind: class, location, both, duplicate, background, missed.
        false_positives_on_empty: on photos without objects; None where there is no such photo.
        report_score_threshold: of `report_mAP`.
        truth: fingerprint of the truth; two evaluations with the same can be compared.
    """

    overall: Figures
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


@dataclass(frozen=True)
class Difference:
    """One figure of A and B, fractions in 0..1; `interval` is that of B minus A."""

    a: float
    b: float
    interval: Interval

    @property
    def change(self) -> float:
        """B minus A."""
        return self.b - self.a

    @property
    def certain(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.interval.low > 0 or self.interval.high < 0


@dataclass(frozen=True)
class Comparison:
    """Differences by the name of the figure, those first that matter most; `photos` were judged."""

    figures: Mapping[str, Difference]
    photos: int
    notes: tuple[str, ...] = ()
