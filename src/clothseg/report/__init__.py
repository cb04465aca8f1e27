"""`report.html`: one self-contained page that tells what a run did and how good its network is.

`reading.py` reads the files of a run, `choice.py` chooses the photos to show, `figures.py` draws them, `examples.py`
cuts out mistakes, `inputs.py` shows what the network is given, `words.py` says in sentences what the figures mean,
`page.py` puts all of it into `page.html.jinja`.
"""

from clothseg.report.page import write_report

__all__ = ["write_report"]
