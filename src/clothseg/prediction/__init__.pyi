from .compile import compile_for_inference
from .files import detect_batch, predict_files
from .options import MAPS, OutputFormat, PredictOptions
from .writers import Predicted, PredictionRecord

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
