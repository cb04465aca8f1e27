"""Opens an ONNX file with onnxruntime, or explains why that is not possible."""

from pathlib import Path
from typing import TYPE_CHECKING

from clothseg.cores import usable_cores
from clothseg.errors import WeightsError, package_error
from clothseg.exported.metadata import ExportMetadata, parse_properties
from clothseg.suggestions import near_path

if TYPE_CHECKING:
    import onnxruntime

SUFFIX = ".onnx"


def is_onnx(path: Path) -> bool:
    """Whether a path is meant to be an ONNX file, by its name."""
    return path.suffix.lower() == SUFFIX and not path.is_dir()


def open_session(path: Path, threads: int | None = None) -> tuple["onnxruntime.InferenceSession", ExportMetadata]:
    """The session and the metadata of an exported file, on the CPU.

    Args:
        path: of the file.
        threads: that an operation may use; by default as many as there are cores.

    Raises:
        ClothsegError: onnxruntime is not installed, or cannot be loaded.
        WeightsError: there is no such file, it cannot be read, or clothseg did not export it.
    """
    try:
        import onnxruntime  # noqa: PLC0415 - optional
    except ImportError as error:
        message = f"{path}: an ONNX file needs one more package: pip install onnxruntime (or clothseg[onnx])"
        raise package_error(error, message) from error
    if not path.is_file():
        raise WeightsError(f"{path}: no such file{near_path(path)}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or usable_cores()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"], enable_fallback=0
        )  # otherwise some errors are printed, and it tries again
        properties = session.get_modelmeta().custom_metadata_map
        session.get_outputs()  # damaged names fail here
    except Exception as error:  # onnxruntime's types are many, and not exported
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"{path}: onnxruntime {onnxruntime.__version__} cannot read it ({reason})") from error
    return session, parse_properties(path, properties)
