"""The doctor: finds faults in any COCO dataset, shows them on a page, and writes a cleaned copy.

A new check needs a function in the file of its subject, a call in `examine.py`, and an entry in `KINDS`.
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
