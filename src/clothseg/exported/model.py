"""`ExportedModel`: a network that `clothseg export` wrote, run by onnxruntime."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, overload

from numpy.typing import NDArray

from clothseg.errors import ClothsegError, ConfigError, WeightsError
from clothseg.exported.forms import FORMS
from clothseg.exported.metadata import ExportMetadata
from clothseg.exported.session import open_session
from clothseg.instances.arrays import ArrayInstances
from clothseg.instances.selection import Selection, class_number
from clothseg.photo_values import as_photo, for_each_photo, is_list

if TYPE_CHECKING:
    import onnxruntime

    from clothseg.photo_values import Photo, Photos
    from clothseg.photos import RgbImage
    from clothseg.pictures import PhotoInstances


class ExportedModel:
    """A network in an ONNX file, with its `classes` 1..K; `predict` is that of `Model`. It needs no PyTorch to find.

    Attributes:
        classes: names of the classes 1..K.
        calibration: of the scores; None if they are the network's own.
        metadata: what the file says of itself.
    """

    def __init__(self, session: "onnxruntime.InferenceSession", metadata: ExportMetadata, path: Path) -> None:
        self._session, self.metadata, self.path = session, metadata, path
        self.classes, self.calibration = list(metadata.classes), metadata.calibrates
        self._names = [output.name for output in session.get_outputs()]
        if metadata.form not in FORMS:
            raise WeightsError(
                f"{path}: its outputs have the form {metadata.form!r}, which this version of clothseg does not know; "
                "update clothseg"
            )

    def __repr__(self) -> str:
        return f"ExportedModel({str(self.path)!r}, form={self.metadata.form}, classes={self.classes})"

    @classmethod
    def load(
        cls,
        path: Path | str,
        *,
        class_thresholds: Mapping[str, float] | None = None,
        class_agnostic_nms_iou: float | None = None,
        threads: int | None = None,
    ) -> Self:
        """Loads an ONNX file that `clothseg export` wrote.

        Args:
            path: of the file.
            class_thresholds: lowest score by class name, beside those in the file.
            class_agnostic_nms_iou: replaces that in the file.
            threads: that an operation may use; by default as many as there are cores.

        Raises:
            ClothsegError: onnxruntime is not installed.
            WeightsError: there is no such file, it cannot be read, or clothseg did not export it.
            ConfigError: a threshold is for an unknown class, or not from 0 to 1.
        """
        session, metadata = open_session(Path(path), threads)
        chosen = {**metadata.class_thresholds, **(class_thresholds or {})}
        for name, least in (class_thresholds or {}).items():
            if not 0 <= least <= 1:
                raise ConfigError(f"class_thresholds: {name}={least}, but a score is from 0 to 1")
        iou = metadata.class_agnostic_nms_iou if class_agnostic_nms_iou is None else class_agnostic_nms_iou
        model = cls(
            session, replace(metadata, class_thresholds=chosen, class_agnostic_nms_iou=iou), Path(path)
        )  # fmt: skip
        model.selection()  # raises now if a threshold names an unknown class
        return model

    @overload
    def predict(  # type: ignore[overload-overlap]  # a string is a path, not a list of strings
        self, photo: "Photo", *, score_threshold: float = 0.0
    ) -> "PhotoInstances": ...
    @overload
    def predict(self, photo: "Photos", *, score_threshold: float = 0.0) -> "list[PhotoInstances]": ...
    def predict(
        self, photo: "Photo | Photos", *, score_threshold: float = 0.0
    ) -> "PhotoInstances | list[PhotoInstances]":
        """The instances on a photo, or on each of a list, as `Model.predict` gives them.

        The answer has torch's tensors, so this needs PyTorch; `find` gives arrays without it.

        Raises:
            PhotoError: a photo cannot be read, or is not one; for a list `UnreadPhotosError`, when the others are done.
        """
        from clothseg.pictures.photo_instances import PhotoInstances  # noqa: PLC0415 - it needs torch

        if is_list(photo):
            return for_each_photo(photo, partial(self.predict, score_threshold=score_threshold))
        found = self.find(as_photo(photo), score_threshold=score_threshold)
        return PhotoInstances.of(found.to_instances(), self.classes)

    def find(self, photo: "RgbImage", *, score_threshold: float = 0.0) -> ArrayInstances:
        """The instances on a photo `[H, W, 3]` uint8 RGB, best first, as arrays.

        Instances below `score_threshold` are dropped; the threshold for a class takes precedence.
        """
        detected = self._run(photo)
        calibrated = self.calibration(detected) if self.calibration else detected
        found: ArrayInstances = self.selection(score_threshold)(calibrated)
        if self.metadata.refine_edges:
            from clothseg.garments.refined import refine_edges  # noqa: PLC0415 - most files do without it

            found = refine_edges(photo, found)
        return replace(found, names=tuple(self.classes))

    def find_each(self, photos: "Sequence[RgbImage]", *, score_threshold: float = 0.0) -> list[ArrayInstances]:
        """The instances on each of some photos; see `find`."""
        return [self.find(photo, score_threshold=score_threshold) for photo in photos]

    def selection(self, score_threshold: float = 0.0) -> Selection:
        """Which detections count; `score_threshold` is for classes without a threshold of their own.

        Raises:
            ConfigError: there is a threshold for an unknown class.
        """
        thresholds = {class_number(n, self.classes): least for n, least in self.metadata.class_thresholds.items()}
        return Selection(score_threshold, thresholds, self.metadata.class_agnostic_nms_iou)

    def _run(self, photo: "RgbImage") -> ArrayInstances:
        size = (photo.shape[0], photo.shape[1])
        try:
            values: list[NDArray[Any]] = self._session.run(None, {"photo": photo})
        except Exception as error:  # onnxruntime's types are many, and not exported
            text = str(error).splitlines()[0] if str(error) else type(error).__name__
            if "alloc" in text.lower():
                raise MemoryError(text) from error
            raise ClothsegError(f"{self.path}: onnxruntime cannot run it ({text}); export the run again") from error
        try:
            return FORMS[self.metadata.form](dict(zip(self._names, values, strict=True)), size, self.metadata)
        except KeyError as error:
            form = self.metadata.form
            raise WeightsError(f"{self.path}: for the form {form!r} it lacks {error}; export the run again") from error
