"""The list of formats, and the choice of the one that a file has.

A new format is one module with `recognizes` and `convert`, and one entry in `FORMATS`.
"""

from typing import Protocol

from clothseg.errors import WeightsError
from clothseg.weights.converted import ConvertedWeights
from clothseg.weights.files.tensor_file import TensorFile
from clothseg.weights.formats import detectron2, matterport, native, resnet, timm, torchvision


class Format(Protocol):
    """A module of this package."""

    def recognizes(self, file: TensorFile) -> bool:
        """Whether the file has this format, by its tensor names or metadata."""

    def convert(self, file: TensorFile) -> ConvertedWeights:
        """Converts a recognized file to our names, with the default settings of its origin."""


FORMATS: tuple[Format, ...] = (native, torchvision, detectron2, matterport, resnet, timm)
"""In this order; the first format that recognizes a file converts it."""


def find_format(file: TensorFile) -> Format:
    """Returns the format of a file.

    Raises:
        WeightsError: no format recognizes the file.
    """
    for candidate in FORMATS:
        if candidate.recognizes(file):
            return candidate
    if native.is_checkpoint(file):
        raise WeightsError(
            f"{file.path}: a training checkpoint of a clothseg run, for --resume only; give the run's folder instead"
        )
    names = ", ".join(list(file.tensors)[:4])
    raise WeightsError(
        f"{file.path}: weights of another network ({len(file.tensors)} tensors: {names}, ...); supported are Mask "
        "R-CNN of torchvision, detectron2 and Matterport, ResNets and other timm classifiers as backbones, and files "
        "of clothseg"
    )
