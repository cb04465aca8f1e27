"""Self-contained pages: `report.html` about a run and how good its network is, and one that compares networks.

`evaluate_run.py` evaluates a run and writes its page. `page.py` fills `page.html.jinja`: `reading.py` reads the files
of a run, `choice.py` chooses the photos, `figures.py` draws them, `examples.py` cuts out errors, `inputs.py` shows what
the network receives, `metric_panels.py` prepares curves and tables, `text.py` explains the metrics in sentences.
`best_examples.py` writes the best detections of each class as pictures. `comparison/` has the page that compares; all
pages extend `base.html.jinja`, which has the stylesheet.
"""

from clothseg.report.best_examples import FiguresWritten, write_figures
from clothseg.report.comparison import compare_networks
from clothseg.report.evaluate_run import evaluate_run
from clothseg.report.page import write_report

__all__ = ["FiguresWritten", "compare_networks", "evaluate_run", "write_figures", "write_report"]
