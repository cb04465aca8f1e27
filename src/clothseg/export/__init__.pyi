from .check import CheckedPhoto, CheckResult, check_photos
from .int8 import quantize
from .write import export_onnx

__all__ = ["CheckResult", "CheckedPhoto", "check_photos", "export_onnx", "quantize"]
