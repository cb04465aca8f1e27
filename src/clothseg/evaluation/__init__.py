"""How good a network is: COCO's metrics and the report's, intervals, thresholds, errors by kind, two runs compared.

`evaluate.py` puts the parts together: `results.py` asks a network for detections, `truth.py` and `validate_results.py`
read and check, `columns.py` holds results as arrays, `coco.py` and `boundary.py` call the libraries, `report_map.py`
has the report's protocol and `greedy_match.py` its matching. `matches.py` keeps which detections are right;
`thresholds.py` and `intervals.py` count from it. `error_kinds.py` gives each wrong detection its kind. `metrics.py`
holds the result, `tables.py` prints it, `comparison.py` compares two sets of detections, `stored.py` finds those of a
run on disk.
"""

from clothseg.evaluation.comparison import compare_results
from clothseg.evaluation.evaluate import SCORE_THRESHOLD, evaluate_coco, evaluate_network, headline_metrics
from clothseg.evaluation.metrics import PROTOCOL, Metrics
from clothseg.evaluation.stored import compare_runs
from clothseg.evaluation.values import ClassMetrics, Comparison, Interval

__all__ = [
    "PROTOCOL",
    "SCORE_THRESHOLD",
    "ClassMetrics",
    "Comparison",
    "Interval",
    "Metrics",
    "compare_results",
    "compare_runs",
    "evaluate_coco",
    "evaluate_network",
    "headline_metrics",
]
