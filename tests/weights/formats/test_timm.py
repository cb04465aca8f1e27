"""Classifiers of timm as backbones."""

import json
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from clothseg.config import Config
from clothseg.networks import build_network
from clothseg.weights import load_initial_weights
from clothseg.weights.inspect import inspect_weights


@pytest.mark.parametrize("name", ["convnext_atto", "mobilenetv3_small_100", "resnet18"])
def test_a_classifier_of_timms_fills_its_extractor(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    classifier = timm.create_model(name).state_dict()
    save_file(classifier, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"architecture": name}))
    words = [f"backbone.name=timm/{name}", "network.fpn.levels=[3,4,5]"]
    network = build_network(Config.load("demo", words), 2)
    report = load_initial_weights(network, str(tmp_path / "model.safetensors"))
    assert not [missing for missing in report.missing if missing.startswith("backbone.")]
    extractor = timm.create_model(name, features_only=True).eval()
    state = network.state_dict()
    for key, tensor in extractor.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            plain = key if key in classifier else key.replace("_", ".", 1)
            assert torch.equal(state[f"backbone.model.{key}"], classifier[plain]), key
            assert tensor.shape == classifier[plain].shape
    assert inspect_weights(tmp_path / "model.safetensors").origin == "timm"
