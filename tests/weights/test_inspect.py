"""Every key of a weights file beside the network that it is for."""

from collections.abc import Callable
from pathlib import Path

import torch

from clothseg.weights.inspect import inspect_weights


def test_every_key_of_a_file_is_accounted_for(
    torchvision_state: dict[str, torch.Tensor], save: Callable[[object, str], Path]
) -> None:
    state = torchvision_state | {"ema.decay": torch.zeros(1)}
    state["roi_heads.mask_head.0.0.bias"] = torch.zeros(7)
    del state["rpn.head.bbox_pred.bias"]
    found = inspect_weights(save({"model": state, "epoch": 3}, "file.pth"))
    assert {key.key for key in found.keys if key.key} == state.keys() | {"epoch"}
    results = {key.key or key.name: key.result for key in found.keys}
    assert results["ema.decay"] == results["epoch"] == "unused"
    assert results["rpn.delta.bias"] == "missing"
    assert results["roi_heads.mask_head.0.0.bias"] == "shape_mismatch"
    assert results["backbone.body.bn1.weight"] == "renamed"
    assert (found.origin, found.backbone, found.conventions) == ("torchvision", "resnet18", "torchvision")
    wrong = next(key for key in found.keys if key.result == "shape_mismatch")
    assert (wrong.shape, wrong.note) == ((7,), "expected 256")
