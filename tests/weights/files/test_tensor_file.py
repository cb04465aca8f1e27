"""Files of tensors whatever their kind: precision, and safetensors that look like something else."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from clothseg.errors import WeightsError
from clothseg.weights import load_model, read_weights
from clothseg.weights.files.tensor_file import read_tensor_file


def test_half_precision_becomes_single(
    torchvision_state: dict[str, torch.Tensor], save: Callable[[object, str], Path], tmp_path: Path
) -> None:
    halved = {name: t.half() if t.is_floating_point() else t for name, t in torchvision_state.items()}
    opened = load_model(save({"model": halved, "epoch": 3}, "half.pth"))
    name = "backbone.body.layer3.1.conv2.weight"
    assert torch.equal(opened.network.state_dict()["backbone.model.layer3.1.conv2.weight"], halved[name].float())
    assert opened.report.changed[name] == "from float16 to float32"
    save_file(
        {key: t.bfloat16() if t.is_floating_point() else t for key, t in torchvision_state.items()},
        tmp_path / "b.safetensors",
    )
    assert read_weights(tmp_path / "b.safetensors").tensors["box_head.score.weight"].dtype == torch.float32


def test_a_safetensors_header_that_lies_is_told(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(struct.pack("<Q", 10**12) + b'{"a": 1}')
    with pytest.raises(WeightsError, match="cannot be read as safetensors"):
        read_weights(path)


def test_a_safetensors_file_that_begins_like_a_pickle_is_none(
    torchvision_state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    """Its first byte is the lowest one of its header's length: one of 32 begins as pickles do."""
    path = tmp_path / "weights.safetensors"
    for padding in range(0, 256, 8):
        save_file(
            {name: tensor.contiguous() for name, tensor in torchvision_state.items()}, path, {"note": "x" * padding}
        )
        if path.read_bytes()[0] == 0x80:
            break
    else:
        pytest.fail("no padding gave that byte")
    assert read_tensor_file(path).container == "safetensors"
