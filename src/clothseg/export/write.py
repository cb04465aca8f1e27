"""Writes a model as an ONNX file."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from clothseg.errors import ClothsegError, RunError
from clothseg.files import atomic_file, require_absent

if TYPE_CHECKING:
    from clothseg.models import Model

NEEDED = ("onnx", "onnxscript", "onnxruntime")


def require_libraries() -> None:
    """Raises a ClothsegError if a library that the export needs is not installed."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise ClothsegError(f"the export needs more packages: pip install {' '.join(missing)} (or clothseg[onnx])")


def export_onnx(model: "Model", out: Path | str, *, overwrite: bool = False) -> None:
    """Writes the network of a model as an ONNX file: photo in, detections out; `ExportedModel` reads it.

    Raises:
        ClothsegError: a library is not installed, or `out` exists and `overwrite` is not set.
        RunError: the model has no network yet.
        ConfigError: the network has no such form.
    """
    require_libraries()
    path = Path(out)
    require_absent(path, overwrite=overwrite)
    if model.network is None:
        raise RunError("the model has no network yet; call build() first")
    import onnx  # noqa: PLC0415 - optional

    from clothseg.export.build import build_onnx  # noqa: PLC0415 - needs onnx

    network, device, training = model.network, model.network.device, model.network.training
    try:
        built = build_onnx(network.cpu().eval(), model.classes, model.calibration)
    finally:
        network.to(device).train(training)
    with atomic_file(path) as temporary:
        onnx.save(built, temporary)
