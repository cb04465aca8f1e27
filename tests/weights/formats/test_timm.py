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
def test_a_classifier_fills_the_feature_extractor(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    classifier = timm.create_model(name).state_dict()
    save_file(classifier, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"architecture": name}))
    overrides = [f"backbone.name=timm/{name}", "network.fpn.levels=[3,4,5]"]
    network = build_network(Config.load("demo", overrides), 2)
    report = load_initial_weights(network, str(tmp_path / "model.safetensors"))
    assert not [missing for missing in report.missing if missing.startswith("backbone.")]
    extractor = timm.create_model(name, features_only=True).eval()
    state = network.state_dict()
    for key, tensor in extractor.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            classifier_key = key if key in classifier else key.replace("_", ".", 1)
            assert torch.equal(state[f"backbone.model.{key}"], classifier[classifier_key]), key
            assert tensor.shape == classifier[classifier_key].shape
    inspection = inspect_weights(tmp_path / "model.safetensors")
    assert inspection.origin == "timm"
    assert inspection.backbone == ("resnet18" if name == "resnet18" else f"timm/{name}")


def test_without_config_json_the_backbone_is_unknown(tmp_path: Path) -> None:
    save_file(timm.create_model("mobilenetv3_small_100").state_dict(), tmp_path / "model.safetensors")
    inspection = inspect_weights(tmp_path / "model.safetensors")
    assert inspection.backbone.startswith("not known")
    assert inspection.counts().keys() == {"renamed"}
    overrides = ["backbone.name=timm/mobilenetv3_small_100"]
    inspection = inspect_weights(tmp_path / "model.safetensors", overrides=overrides)
    assert inspection.backbone == "timm/mobilenetv3_small_100"
