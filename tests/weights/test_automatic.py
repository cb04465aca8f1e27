"""`weights: auto`: which initial weights it means, by the classes and the backbone."""

from pathlib import Path

import pytest

from clothseg.config import Config
from clothseg.errors import WeightsError
from clothseg.models import MaskRCNN, Model
from clothseg.weights.automatic import installed_with_more_classes, with_initial_weights


@pytest.mark.parametrize(
    ("preset", "overrides", "classes", "expected"),
    [
        ("small", [], ["Coat", "dress"], "garments"),
        ("small", [], ["Bolt", "Screw"], "imagenet-efficientnet-lite2"),
        ("small", ["backbone.name=timm/tf_efficientnet_lite0"], ["Dress"], "imagenet-efficientnet-lite0"),
        ("small-yolact", ["weights=auto"], ["Dress"], "imagenet-efficientnet-lite2"),
        ("small", ["weights=random"], ["Dress"], "random"),
    ],
)
def test_classes_and_backbone_choose(preset: str, overrides: list[str], classes: list[str], expected: str) -> None:
    assert with_initial_weights(Config.load(preset, overrides), classes).weights == expected


def test_a_backbone_without_installed_weights_is_an_error() -> None:
    with pytest.raises(WeightsError, match=r"no weights for the backbone resnet50 are installed.*--weights"):
        MaskRCNN(Config.load("small", ["backbone.name=resnet50"])).build(["Dress"])


def test_the_built_network_starts_from_them_and_its_configuration_names_them() -> None:
    model = Model(Config.load("small")).build(["Bolt", "Jeans"]).load_weights()
    assert model.config.weights == "garments"
    assert model.loaded is not None
    assert model.loaded.transferred == ["Jeans"]


def test_another_file_of_that_name_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("garments").write_bytes(b"a list of garments")
    assert with_initial_weights(Config.load("small"), ["Dress"]).weights == "imagenet-efficientnet-lite2"


def test_an_installed_network_with_more_classes_is_found_by_one_of_them() -> None:
    every = Model.load("garments", device="cpu").classes
    assert installed_with_more_classes(["Coat", "dress"]) == "garments"
    assert installed_with_more_classes(every[1:]) == "garments"
    assert installed_with_more_classes(["Bolt", "Screw"]) is None
    assert installed_with_more_classes(every) is None, "it knows no other class"
