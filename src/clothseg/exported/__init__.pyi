from .metadata import ExportMetadata
from .model import ExportedModel
from .session import is_onnx

__all__ = ["ExportMetadata", "ExportedModel", "is_onnx"]
