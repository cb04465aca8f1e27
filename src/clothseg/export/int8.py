"""Quantizes an exported network to 8 bits with onnxruntime's own tools."""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from clothseg.errors import ClothsegError
from clothseg.exported.metadata import parse_properties
from clothseg.files import atomic_file
from clothseg.photos import RgbImage

KINDS = ["Conv", "MatMul", "Gemm", "Clip", "Relu"]
"""The operations that compute with 8 bits. The activations are among them so that the range of their result counts, 0
to 6 for a ReLU6, and not the much wider one of the convolution before it: that costs a fifth of mask AP."""


class _Photos:
    """Photos, in the form in which onnxruntime's calibration asks for them."""

    def __init__(self, photos: Iterator[RgbImage]) -> None:
        self._photos = photos

    def get_next(self) -> dict[str, Any] | None:
        """The inputs of the next run, or None after the last."""
        photo = next(self._photos, None)
        return None if photo is None else {"photo": photo}

    def set_range(self, start_index: int, end_index: int) -> None:
        """Not used: the photos come one after another."""


def quantize(path: Path, photos: Sequence[RgbImage]) -> None:
    """Replaces the exported network in a file by one whose convolutions compute with 8 bits.

    Weights are quantized by channel; the ranges of activations come from `photos`.

    Args:
        path: an ONNX file of `export_onnx`.
        photos: some dozens that are like those to come, `[H, W, 3]` uint8 RGB each.

    Raises:
        ClothsegError: there is no photo.
    """
    import onnx  # noqa: PLC0415 - optional
    from onnxruntime.quantization import CalibrationMethod, QuantType, quantize_static  # noqa: PLC0415

    if not photos:
        raise ClothsegError("--int8 needs photos, which show the ranges of the numbers; give a folder with some")
    metadata = parse_properties(
        path, {p.key: p.value for p in onnx.load(path, load_external_data=False).metadata_props}
    )
    logging.getLogger().setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, atomic_file(path) as temporary:
        quantized = Path(folder) / "int8.onnx"
        quantize_static(
            path,
            quantized,
            _Photos(iter(photos)),
            op_types_to_quantize=KINDS,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"ActivationSymmetric": False},
        )
        model = onnx.load(quantized)
        del model.metadata_props[:]
        onnx.helper.set_model_props(model, replace(metadata, numbers="int8").to_properties())
        onnx.save(model, temporary)
