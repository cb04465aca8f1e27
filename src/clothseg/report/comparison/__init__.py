"""The page that compares several networks.

`networks.py` has the one function that does everything: it compares, measures the speed (`speed.py`) and writes the
page. `page.py` fills `page.html.jinja` with tables (`panels.py`) and photos (`photos.py`).
"""

from clothseg.report.comparison.networks import compare_networks

__all__ = ["compare_networks"]
