from .comparison import SeveralComparison, compare_results, compare_runs, compare_several
from .evaluate import SCORE_THRESHOLD, evaluate_coco, evaluate_network, headline_metrics, with_unread
from .metrics import PROTOCOL, Metrics
from .truth import truth_of
from .values import ClassMetrics, Comparison, Interval

__all__ = [
    "PROTOCOL",
    "SCORE_THRESHOLD",
    "ClassMetrics",
    "Comparison",
    "Interval",
    "Metrics",
    "SeveralComparison",
    "compare_results",
    "compare_runs",
    "compare_several",
    "evaluate_coco",
    "evaluate_network",
    "headline_metrics",
    "truth_of",
    "with_unread",
]
