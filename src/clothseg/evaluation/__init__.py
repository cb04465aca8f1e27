"""How good a network is: COCO's average precision and recall, overall and by class, with intervals over photos."""

from clothseg.evaluation.coco import evaluate_coco
from clothseg.evaluation.intervals import Interval
from clothseg.evaluation.metrics import PROTOCOL, ClassMetrics, Metrics

__all__ = ["PROTOCOL", "ClassMetrics", "Interval", "Metrics", "evaluate_coco"]
