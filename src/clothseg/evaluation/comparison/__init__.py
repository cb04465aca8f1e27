"""Compares detections on the same photos: two sides (`two.py`), or any number of runs and results files (`several.py`).

`resampling.py` evaluates every side on the same bootstrap samples, `semantic.py` scores instances as a label map,
`sources.py` says what is known of each run and groups those that differ only in their seed, `values.py` holds the
result, `verdicts.py` and `text.py` put it into sentences and tables.
"""

from clothseg.evaluation.comparison.several import compare_several
from clothseg.evaluation.comparison.two import compare_results, compare_runs
from clothseg.evaluation.comparison.values import SeveralComparison

__all__ = ["SeveralComparison", "compare_results", "compare_runs", "compare_several"]
