"""Opens an exported network for a command, and refuses options that are for networks of PyTorch."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from clothseg.cli.inputs import least_scores
from clothseg.errors import ClothsegError

if TYPE_CHECKING:
    from clothseg.exported import ExportedModel


def load_exported(
    run: Path,
    threshold: list[str] | None,
    thresholds: str | None,
    class_agnostic_nms_iou: float | None,
    device: str,
    unfit: Mapping[str, bool],
) -> "ExportedModel":
    """The network in the ONNX file `run`, with the options that select detections.

    Args:
        run: the file.
        threshold, thresholds, class_agnostic_nms_iou: the options of these names.
        device: the option; the file runs on the CPU.
        unfit: options that do not work with ONNX files, and whether they were given.

    Raises:
        ClothsegError: an option is given that does not work with ONNX files, or the file cannot be opened.
    """
    if device not in {"auto", "cpu"}:
        raise ClothsegError(f"--device {device}: an ONNX file runs on the CPU; use auto or cpu, or the run itself")
    if given := [name for name, is_given in unfit.items() if is_given]:
        raise ClothsegError(
            f"{', '.join(given)}: not for an ONNX file, whose settings are fixed; export the run again with it, or use "
            "the run itself"
        )
    from clothseg.exported import ExportedModel  # noqa: PLC0415 - onnxruntime is optional

    return ExportedModel.load(
        run,
        class_thresholds=least_scores(run, threshold, thresholds),
        class_agnostic_nms_iou=class_agnostic_nms_iou,
    )
