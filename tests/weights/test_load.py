"""Tensors into a network: what is excluded, what does not fit, and where they come from."""

from pathlib import Path

import pytest
import torch

from clothseg.config import Config
from clothseg.errors import WeightsError
from clothseg.models import MaskRCNN
from clothseg.networks import build_network
from clothseg.runs import RunFolder
from clothseg.weights import load_initial_weights, load_model, write_network

Trained = tuple[Config, dict[str, torch.Tensor], str]


def test_what_is_excluded_starts_new(trained: Trained, old_classes: list[str]) -> None:
    config, old, path = trained
    for exclude, kept in ((["heads"], "fpn.lateral.0.0.weight"), (["mask_head.", "rpn."], "box_head.score.weight")):
        network = build_network(config, 3)
        fresh = network.state_dict()["mask_head.logits.weight"].clone()
        report = load_initial_weights(network, path, exclude, old_classes)
        state = network.state_dict()
        assert torch.equal(state["mask_head.logits.weight"], fresh)
        assert torch.equal(state[kept], old[kept])
        assert report.reasons["rpn.score.weight"] == "excluded by the user"


def test_an_exclusion_that_fits_nothing_is_told(trained: Trained, old_classes: list[str]) -> None:
    config, _, path = trained
    network = build_network(config, 3)
    with pytest.raises(WeightsError, match=r"exclude 'mask_hed': no tensor .* parts are backbone, fpn, rpn"):
        load_initial_weights(network, path, ["heads", "mask_hed"], old_classes)


def test_a_layer_is_taken_whole_or_not_at_all(trained: Trained, old_classes: list[str], small_words: list[str]) -> None:
    """Of a wider FPN the layers start new, their biases too, whose own shape would fit."""
    _, old, path = trained
    wide = Config.load("demo", [*small_words, "network.fpn.channels=64"])
    network = build_network(wide, 3)
    fresh = network.state_dict()["rpn.score.bias"].clone()
    report = load_initial_weights(network, path, classes=old_classes)
    state = network.state_dict()
    assert torch.equal(state["rpn.score.bias"], fresh)
    assert torch.equal(state["box_head.score.bias"], old["box_head.score.bias"])  # of a layer that fits
    assert report.reasons["rpn.score.bias"] == "another tensor of its layer has another shape"
    assert f"{len(report.missing)} start new, {len(report.shape_mismatch)} of them because" in report.summary()
    with pytest.warns(UserWarning, match="start new"):
        MaskRCNN(wide).build(old_classes).load_weights(path)


def test_a_folder_is_a_run_or_told(trained: Trained, old_classes: list[str], tmp_path: Path) -> None:
    config, old, _ = trained
    run = RunFolder(tmp_path / "run")
    write_network(run.weights, old, config, old_classes)
    assert load_model(run.path).classes == old_classes
    network = build_network(config, 3)
    load_initial_weights(network, str(run.path))
    with pytest.raises(WeightsError, match="a folder, but not one of a finished run"):
        load_initial_weights(network, str(tmp_path))
