"""Predicts on photos and videos on disk and writes the results to files.

`files.py` puts the parts together: `writers.py` writes the files that cover all photos, `videos.py` handles one video,
`batches.py` runs the network on several photos at once, `compile.py` compiles it, `options.py` has the options.
"""

from clothseg.prediction.batches import detect_batch
from clothseg.prediction.compile import compile_for_inference
from clothseg.prediction.files import predict_files
from clothseg.prediction.options import MAPS, OutputFormat, PredictOptions
from clothseg.prediction.writers import Predicted, PredictionRecord

__all__ = [
    "MAPS",
    "OutputFormat",
    "PredictOptions",
    "Predicted",
    "PredictionRecord",
    "compile_for_inference",
    "detect_batch",
    "predict_files",
]
