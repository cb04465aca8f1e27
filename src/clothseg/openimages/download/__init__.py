"""Open Images from its servers to a folder that `build_dataset` reads: only what the chosen classes need.

Order of reading: `run` is the whole download. It uses

- `sources`: the addresses; `request`: the photos and masks that some classes need;
- `plan`: what is to be fetched, and its size; `job`: what all stages share, and their threads;
- `lists` (CSV tables), `masks` (members of remote zips, with `remote_zip`) and `photos`: one file for each kind;
- `ledger`: the files that are verified already; `decode`: whether a picture can be decoded.

`clothseg.http` sends the requests.
"""

from clothseg.http import RetryPolicy
from clothseg.openimages.download.plan import DownloadPlan, DownloadSummary, Failure
from clothseg.openimages.download.run import FAILED, download
from clothseg.openimages.download.sources import SPLITS

__all__ = ["FAILED", "SPLITS", "DownloadPlan", "DownloadSummary", "Failure", "RetryPolicy", "download"]
