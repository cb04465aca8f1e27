"""Networks for a catalogue: where they are and how they are opened, in this process or another one."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clothseg import __version__
from clothseg.catalogue.tasks import OpenNetwork
from clothseg.config import read_settings
from clothseg.cores import usable_cores
from clothseg.weights.check import weights_file

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class ModelSource:
    """A network of PyTorch; the arguments are those of `Model.load`.

    Attributes:
        run: a run's folder or any supported weights file.
        settings: a YAML file with settings that replace those of the weights.
        overrides: single settings.
        classes: class names of a weights file from another tool.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`. Of several processes each takes the next GPU of `cuda`.
        score_threshold: instances below it are dropped.
        compiled: whether to compile the network.
    """

    run: Path
    settings: str | None = None
    overrides: Sequence[str] = ()
    classes: Sequence[str] | None = None
    device: str = "auto"
    score_threshold: float = 0.0
    compiled: bool = False

    def open(self, worker: int, workers: int) -> OpenNetwork:
        """Loads the network; see `NetworkSource`.

        Raises:
            RunError, WeightsError, ConfigError: see `Model.load`.
        """
        from clothseg.models import Model  # noqa: PLC0415 - PyTorch
        from clothseg.prediction import compile_for_inference, detect_batch  # noqa: PLC0415 - PyTorch

        model = Model.load(
            self.run, settings=self.settings, overrides=self.overrides, classes=self.classes, device="cpu"
        )
        model.to(_device(self.device, worker, workers))
        compile_for_inference(model, requested=self.compiled)
        find = partial(detect_batch, model, score_threshold=self.score_threshold)
        return OpenNetwork(find, model.classes, model.calibration is not None)

    def facts(self) -> Mapping[str, Any]:
        """What the results depend on: the weights by their content, and the settings. It needs no PyTorch."""
        settings = read_settings(self.settings) if self.settings else None
        return _facts(weights_file(self.run)) | {
            "settings": settings,
            "overrides": list(self.overrides),
            "classes": self.classes,
            "score_threshold": self.score_threshold,
        }


@dataclass(frozen=True)
class ExportedSource:
    """A network in an ONNX file; the arguments are those of `ExportedModel.load`."""

    path: Path
    class_thresholds: Mapping[str, float] = field(default_factory=dict)
    class_agnostic_nms_iou: float | None = None
    score_threshold: float = 0.0

    def open(self, worker: int, workers: int) -> OpenNetwork:
        """Loads the network; see `NetworkSource`.

        Raises:
            ClothsegError: see `ExportedModel.load`.
        """
        from clothseg.exported import ExportedModel  # noqa: PLC0415 - onnxruntime is optional

        model = ExportedModel.load(
            self.path,
            class_thresholds=self.class_thresholds,
            class_agnostic_nms_iou=self.class_agnostic_nms_iou,
            threads=max(1, usable_cores() // workers),
        )
        find = partial(model.find_each, score_threshold=self.score_threshold)
        return OpenNetwork(find, model.classes, model.calibration is not None)

    def facts(self) -> Mapping[str, Any]:
        """What the results depend on."""
        return _facts(self.path) | {
            "class_thresholds": dict(self.class_thresholds),
            "class_agnostic_nms_iou": self.class_agnostic_nms_iou,
            "score_threshold": self.score_threshold,
        }


def _facts(weights: Path) -> dict[str, Any]:
    with weights.open("rb") as file:
        return {"version": __version__, "weights": hashlib.file_digest(file, "sha256").hexdigest()}


def _device(name: str, worker: int, workers: int) -> "torch.device":
    """The device of one of several processes. On a CPU they share the cores."""
    import torch  # noqa: PLC0415 - slow

    from clothseg.devices import resolve_device  # noqa: PLC0415 - it belongs to the line above

    device = resolve_device(name)
    if device.type == "cuda" and device.index is None and workers > 1:
        return torch.device("cuda", worker % torch.cuda.device_count())
    if device.type == "cpu" and workers > 1:
        torch.set_num_threads(max(1, min(torch.get_num_threads(), usable_cores() // workers)))
    return device
