"""From photos and videos on disk to files that say what is on them.

`files.py` is the way through; `writers.py` writes the files that cover all photos, `videos.py` handles one video,
`batches.py` runs the network on several photos at once, `options.py` says what to write.
"""

from clothseg.prediction.batches import detect_batch
from clothseg.prediction.files import predict_files
from clothseg.prediction.options import MAPS, OutputFormat, PredictOptions
from clothseg.prediction.writers import Predicted, PredictionRecord

__all__ = [
    "MAPS",
    "OutputFormat",
    "PredictOptions",
    "Predicted",
    "PredictionRecord",
    "detect_batch",
    "predict_files",
]
