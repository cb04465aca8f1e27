"""Settings that the shapes of tensors show."""

import pytest
import torch

from clothseg.config import Config, deep_merge
from clothseg.networks import build_network
from clothseg.networks.backbones import RESNETS
from clothseg.weights.infer_settings import infer_classes, infer_settings

VARIANTS = {
    "default": [],
    "sizes": [
        "network.fpn.channels=64", "network.box_head.fc_dim=48", "network.box_head.num_fc=1",
        "network.box_head.pool_size=5", "network.mask_head.channels=24", "network.mask_head.num_conv=2",
        "network.rpn.num_conv=2", "network.rpn.channels=40",
    ],
    "norms": [
        "network.fpn.norm=frozen", "network.box_head.num_conv=3", "network.box_head.norm=group",
        "network.mask_head.norm=frozen", "network.conventions=detectron2", "backbone.norm=group",
    ],
}  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("backbone", RESNETS)
def test_the_settings_of_a_network_are_inferred_from_its_tensors(backbone: str, variant: str) -> None:
    """The network of the inferred settings has the same tensors as the original one."""
    overrides = [f"backbone.name={backbone}", *VARIANTS[variant]]
    config = Config.from_tree({}, overrides, "test")
    with torch.device("meta"):
        state = build_network(config, 3).state_dict()
        tree = deep_merge(infer_settings(state), {"network": {"conventions": "torchvision"}})
        rebuilt = build_network(Config.from_tree(tree, [], "inferred"), 3).state_dict()
    assert tree["backbone"]["name"] == backbone
    assert {name: tensor.shape for name, tensor in rebuilt.items()} == {n: tensor.shape for n, tensor in state.items()}


def test_nothing_is_inferred_from_other_networks() -> None:
    assert infer_settings({"backbone.model.conv_stem.weight": torch.zeros(32, 3, 3, 3)}) == {}


@pytest.mark.parametrize(
    ("rows", "number", "name"),
    [(81, 80, "toothbrush"), (91, 90, "toothbrush"), (91, 12, "unused 12"), (5, 4, "class 4")],
)
def test_files_with_as_many_classes_as_coco_get_its_names(rows: int, number: int, name: str) -> None:
    classes = infer_classes({"box_head.score.weight": torch.zeros(rows, 8)})
    assert classes is not None
    assert len(classes) == rows - 1
    assert classes[number - 1] == name


def test_a_file_without_heads_has_no_classes() -> None:
    assert infer_classes({"backbone.model.conv1.weight": torch.zeros(1)}) is None
