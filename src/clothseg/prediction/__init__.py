"""From photos and videos on disk to files that say what is on them.

`files.py` is the way through; `answers.py` writes what is one file for all photos, `videos.py` what a video gets,
`batches.py` asks the network for several photos at once, `team.py` shares the work among processes.
"""

from clothseg.prediction.batches import find_together
from clothseg.prediction.files import predict_files
from clothseg.prediction.options import MAPS, OutputFormat, Wanted
from clothseg.prediction.team import ALONE, Team, join_team
from clothseg.prediction.writers import Answer, Predicted

__all__ = [
    "ALONE",
    "MAPS",
    "Answer",
    "OutputFormat",
    "Predicted",
    "Team",
    "Wanted",
    "find_together",
    "join_team",
    "predict_files",
]
