"""The result of comparing several runs, as plain data. Tables, sentences and the page are made from it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from clothseg.evaluation.values import ClassMetrics, Difference, Interval


@dataclass(frozen=True)
class SourceFacts:
    """What is known of a run; of a results file only the path.

    Attributes:
        path: as it was given.
        network: name of the network, for example `Mask R-CNN`.
        backbone: its name in the configuration.
        seed: of the training.
        parameters: how many the network has.
        weights_bytes: size of `weights.safetensors`.
        training_seconds: wall time of the training.
        score_threshold: the best score threshold for all classes, from which on detections are drawn and painted.
    """

    path: str
    network: str | None = None
    backbone: str | None = None
    seed: int | None = None
    parameters: int | None = None
    weights_bytes: int | None = None
    training_seconds: float | None = None
    score_threshold: float = 0.5


@dataclass(frozen=True)
class Speed:
    """How long a network takes for one photo: from decoded pixels to instances with masks as run lengths.

    Attributes:
        seconds: wall time, the median over photos and rounds.
        photos: number of photos.
        rounds: how often each photo was measured.
        device: for example `cpu`.
        threads: number of threads of PyTorch.
    """

    seconds: float
    photos: int
    rounds: int
    device: str
    threads: int


@dataclass(frozen=True)
class SideMetrics:
    """One side: a run, a results file, or runs that differ only in their seed. Metrics are fractions in 0..1.

    Attributes:
        title: its name in tables; no two sides have the same.
        sources: the side's runs, by rising seed.
        overall: the metrics of `evaluate_coco` and `semantic_mIoU`; the mean over the runs. None without a value.
        intervals: of some metrics, over photos, and over seeds if there are several runs.
        classes: by class name; `semantic_IoU` is among the values.
        background_iou: the IoU of the background as a class.
        speed: of the first run; None if it was not measured.
        notes: what a reader should know of its detections, and does not hold for all sides.
    """

    title: str
    sources: tuple[SourceFacts, ...]
    overall: Mapping[str, float | None]
    intervals: Mapping[str, Interval]
    classes: Mapping[str, ClassMetrics]
    background_iou: float | None
    speed: Speed | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PairDifferences:
    """Two sides, on the same photos.

    Attributes:
        a: title of the first side.
        b: title of the second side.
        differences: by metric; the interval is that of B minus A.
        time_ratio: time of B over time of A for the same photo, the median and its interval; None if not measured.
    """

    a: str
    b: str
    differences: Mapping[str, Difference]
    time_ratio: tuple[float, Interval] | None = None


@dataclass(frozen=True)
class SeveralComparison:
    """The result of `compare_several`.

    Attributes:
        sides: in the order in which they were given.
        pairs: every pair of them.
        photos: number of photos.
        notes: sentences that a reader should know.
        verdict: two sentences that say which side to take for what, as far as the intervals allow it.
    """

    sides: tuple[SideMetrics, ...]
    pairs: tuple[PairDifferences, ...]
    photos: int
    notes: tuple[str, ...] = ()
    verdict: tuple[str, ...] = ()

    def pair(self, a: str, b: str) -> PairDifferences:
        """The pair of two titles; raises KeyError if there is none in this order."""
        for pair in self.pairs:
            if (pair.a, pair.b) == (a, b):
                return pair
        raise KeyError((a, b))

    def to_json(self) -> str:
        """The content as JSON. Of two sides, it also has their `differences`, as `compare_runs` gives them."""
        both = {"differences": self.pairs[0].differences} if len(self.sides) == 2 else {}
        tree = asdict(self) | {name: {metric: asdict(d) for metric, d in of.items()} for name, of in both.items()}
        return json.dumps(tree, indent=2, allow_nan=False)
