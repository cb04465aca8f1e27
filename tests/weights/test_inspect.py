"""Every key of a weights file, compared with the network that it is for."""

from collections.abc import Callable
from pathlib import Path

import torch

from clothseg.weights.inspect import RESULTS, inspect_weights


def test_every_key_of_a_file_has_a_result(
    torchvision_state: dict[str, torch.Tensor], save: Callable[[object, str], Path]
) -> None:
    state = torchvision_state | {"ema.decay": torch.zeros(1)}
    state["roi_heads.mask_head.0.0.bias"] = torch.zeros(7)
    state["backbone.body.bn1.weight"] = state["backbone.body.bn1.weight"].half()
    del state["rpn.head.bbox_pred.bias"]
    inspection = inspect_weights(save({"model": state, "epoch": 3}, "file.pth"))
    assert {key.key for key in inspection.keys if key.key} == state.keys() | {"epoch"}
    results = {key.key or key.name: key.result for key in inspection.keys}
    assert results["ema.decay"] == results["epoch"] == "unused"
    assert results["rpn.delta.bias"] == "missing"
    assert results["roi_heads.mask_head.0.0.bias"] == "shape_mismatch"
    assert results["backbone.body.conv1.weight"] == "renamed"
    assert results["backbone.body.bn1.weight"] == "changed"
    assert set(results.values()) <= set(RESULTS)
    assert sum(inspection.counts().values()) == len(inspection.keys)
    assert (inspection.origin, inspection.backbone, inspection.conventions) == (
        "torchvision",
        "resnet18",
        "torchvision",
    )
    mismatch = next(key for key in inspection.keys if key.result == "shape_mismatch")
    assert (mismatch.shape, mismatch.note) == ((7,), "expected 256")
    problems = {key.key or key.name for key in inspection.keys if key.is_problem}
    assert problems == {"ema.decay", "rpn.delta.bias", "roi_heads.mask_head.0.0.bias"}


def test_a_file_of_clothseg_loads_without_changes(trained: tuple[object, object, str]) -> None:
    assert inspect_weights(Path(trained[2])).counts().keys() == {"loaded"}
