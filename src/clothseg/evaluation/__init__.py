"""How good a network is: COCO's figures and the report's, intervals, thresholds, mistakes, two runs compared.

`evaluate.py` is the way through: `results.py` asks a network, `truth.py` and `checks.py` read and check, `coco.py` and
`boundary.py` ask the libraries, `report_map.py` is the report's protocol, `matches.py` keeps how detections met the
truth, from which `thresholds.py` and `intervals.py` count; `mistakes.py` says which mistake each detection is;
`metrics.py` is the answer, `tables.py` shows it, `comparison.py` sets two beside each other.
"""

from clothseg.evaluation.comparison import Comparison, compare_results
from clothseg.evaluation.evaluate import HEADLINES, MIN_CONFIDENCE, evaluate_coco, evaluate_network, headline_figures
from clothseg.evaluation.intervals import Interval
from clothseg.evaluation.metrics import PROTOCOL, ClassMetrics, Metrics

__all__ = [
    "HEADLINES",
    "MIN_CONFIDENCE",
    "PROTOCOL",
    "ClassMetrics",
    "Comparison",
    "Interval",
    "Metrics",
    "compare_results",
    "evaluate_coco",
    "evaluate_network",
    "headline_figures",
]
