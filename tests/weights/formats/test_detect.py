"""The choice of a file's format."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor

from clothseg.errors import WeightsError
from clothseg.weights import read_weights
from clothseg.weights.files.tensor_file import TensorFile
from clothseg.weights.formats.detect import FORMATS, find_format


@pytest.mark.parametrize(
    ("names", "metadata", "origin"),
    [
        (("backbone.model.conv1.weight",), {"format": "clothseg-1"}, "native"),
        (("backbone.body.conv1.weight", "roi_heads.box_predictor.cls_score.weight"), {}, "torchvision"),
        (("backbone.bottom_up.res2.0.conv1.weight",), {}, "detectron2"),
        (("stem.conv1.weight", "res2.0.conv1.weight"), {}, "detectron2"),
        (("conv1_w", "res2_0_branch2a_w"), {}, "detectron2"),
        (("res2a_branch2a/0/kernel:0",), {}, "matterport"),
        (("conv1.weight", "layer1.0.conv1.weight"), {}, "resnet"),
        (("conv_stem.weight", "blocks.0.0.conv_dw.weight"), {}, "timm"),
    ],
)
def test_exactly_one_format_recognizes_a_file(names: tuple[str, ...], metadata: dict[str, str], origin: str) -> None:
    file = TensorFile(Path("weights"), "torch", {name: torch.zeros(1) for name in names}, {}, metadata)
    recognized = [str(vars(module)["__name__"]) for module in FORMATS if module.recognizes(file)]
    assert recognized == [f"clothseg.weights.formats.{origin}"]
    assert find_format(file) is next(module for module in FORMATS if module.recognizes(file))


def checkpoint() -> dict[str, object]:
    return {"network": {}, "optimizer": {}, "sampler": {}, "rows": [], "generator": torch.zeros(3)}


def other_network() -> dict[str, Tensor]:
    return dict(torchvision.models.squeezenet1_0(weights=None).state_dict())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (checkpoint, "a training checkpoint of a clothseg run, .* give the run's folder"),
        (other_network, r"another network \(52 tensors: features\.0\.weight, .*; supported are"),
    ],
)
def test_unknown_formats_are_reported(
    content: Callable[[], object], message: str, save: Callable[[object, str], Path]
) -> None:
    path = save(content(), "weights.pth")
    with pytest.raises(WeightsError, match=message) as caught:
        read_weights(path)
    assert str(path) in str(caught.value)
