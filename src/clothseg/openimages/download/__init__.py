"""Open Images from its servers to a folder that `build_dataset` reads: only what some classes need.

`sources` knows the addresses, `web` asks and asks again, `fetch` brings a whole file, `remote_zip` single members of a
zip; `wanted`, `lists`, `masks` and `photos` are the kinds of things to bring, `plan` says how much it is, `ledger`
remembers what is there, `work` does many things at once, `run` all of it.
"""

from clothseg.openimages.download.plan import DownloadPlan, DownloadSummary, Failure
from clothseg.openimages.download.run import FAILED, download
from clothseg.openimages.download.sources import SPLITS
from clothseg.openimages.download.web import RetryPolicy

__all__ = ["FAILED", "SPLITS", "DownloadPlan", "DownloadSummary", "Failure", "RetryPolicy", "download"]
