"""How good a network is: COCO's figures and the report's, intervals, thresholds, mistakes, two runs compared.

`evaluate.py` is the way through: `results.py` asks a network, `truth.py` and `checks.py` read and check, `coco.py` and
`boundary.py` ask the libraries, `report_map.py` is the report's protocol, `matches.py` keeps how detections met the
truth, from which `thresholds.py` and `intervals.py` count; `mistakes.py` says which mistake each detection is;
`metrics.py` is the answer, `tables.py` shows it, `comparison.py` sets two beside each other.
"""

from clothseg.evaluation.comparison import compare_results
from clothseg.evaluation.evaluate import SCORE_THRESHOLD, evaluate_coco, evaluate_network, headline_metrics
from clothseg.evaluation.metrics import PROTOCOL, Metrics
from clothseg.evaluation.values import ClassMetrics, Comparison, Interval

__all__ = [
    "PROTOCOL",
    "SCORE_THRESHOLD",
    "ClassMetrics",
    "Comparison",
    "Interval",
    "Metrics",
    "compare_results",
    "evaluate_coco",
    "evaluate_network",
    "headline_metrics",
]
