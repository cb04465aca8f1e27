"""The doctor: what is wrong with a COCO data set, ours or anybody's; a page about it; and a cleaned copy.

A new check is a function in the file of its subject, called in `examine.py`, and an entry in `KINDS`.
"""

from clothseg.dataset.doctor.balance import MIN_INSTANCES
from clothseg.dataset.doctor.clean import Cleaned, write_cleaned
from clothseg.dataset.doctor.examine import Diagnosis, examine
from clothseg.dataset.doctor.findings import KINDS, Finding, Kind, Location, Severity

__all__ = [
    "KINDS",
    "MIN_INSTANCES",
    "Cleaned",
    "Diagnosis",
    "Finding",
    "Kind",
    "Location",
    "Severity",
    "examine",
    "write_cleaned",
]
