"""Files of torchvision's detectors, with the names of all its versions."""

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import torch

from clothseg.networks import Network
from clothseg.networks.mask_rcnn.network import MaskRCNNNetwork
from clothseg.weights import load_model, read_weights


def test_old_and_new_names_give_the_same_tensors(
    torchvision_state: dict[str, torch.Tensor],
    save: Callable[[object, str], Path],
    as_mask_rcnn: Callable[[Network], MaskRCNNNetwork],
    tmp_path: Path,
) -> None:
    changes = {"rpn.head.conv.0.0.": "rpn.head.conv."}
    changes |= {f"_blocks.{level}.0.": f"_blocks.{level}." for level in range(4)}
    changes |= {f"mask_head.{number}.0.": f"mask_head.mask_fcn{number + 1}." for number in range(4)}

    def old_name(name: str) -> str:
        new = next((new for new in changes if new in name), None)
        return name.replace(new, changes[new]) if new else name

    old_state = {old_name(name): tensor for name, tensor in torchvision_state.items()}
    assert old_state.keys() != torchvision_state.keys()
    new, old = read_weights(save(torchvision_state, "new.pth")), read_weights(save(old_state, "old.pth"))
    assert new.tensors.keys() == old.tensors.keys()
    assert all(torch.equal(tensor, old.tensors[name]) for name, tensor in new.tensors.items())
    published = save(old_state, "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth")
    network = as_mask_rcnn(load_model(published).network)
    assert network.conventions.backbone.norm_eps == 0.0  # torchvision loads only this file so
    legacy = tmp_path / "legacy.pth"
    torch.save(old_state, legacy, _use_new_zipfile_serialization=False)
    assert read_weights(legacy).tensors.keys() == new.tensors.keys()


def test_other_values_of_a_training_checkpoint_are_unused(
    torchvision_state: dict[str, torch.Tensor], save: Callable[[object, str], Path]
) -> None:
    content = {"model": torchvision_state, "optimizer": {"state": {}}, "args": Namespace(lr=0.1), "epoch": 3}
    converted = read_weights(save(content, "model_25.pth"))
    assert converted.unused.keys() >= {"optimizer", "args", "epoch"}
    assert converted.classes == ["class 1", "class 2"]
