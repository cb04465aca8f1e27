"""How good a network is: COCO's metrics and the report's, intervals, thresholds, errors by kind, two runs compared.

`evaluate.py` puts the parts together: `results.py` asks a network for detections, `truth.py` and `validate_results.py`
read and check, `columns.py` holds results as arrays, `coco.py` and `boundary.py` call the libraries, `report_map.py`
has the report's protocol and `greedy_match.py` its matching. `matches.py` keeps which detections are right;
`thresholds.py` and `intervals.py` count from it. `error_kinds.py` gives each wrong detection its kind. `metrics.py`
holds the result, `tables.py` prints it, `comparison/` compares sets of detections, `stored.py` finds those of a run on
disk.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
