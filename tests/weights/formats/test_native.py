"""Our own weights files."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from clothseg.config import Config
from clothseg.errors import WeightsError
from clothseg.networks import Network
from clothseg.networks.mask_rcnn.network import MaskRCNNNetwork
from clothseg.weights import load_model, read_network, write_network


def test_our_own_file_keeps_its_conventions(
    small_words: list[str],
    build_mask_rcnn: Callable[[Config, int], MaskRCNNNetwork],
    as_mask_rcnn: Callable[[Network], MaskRCNNNetwork],
    tmp_path: Path,
) -> None:
    words = ["network.conventions=detectron2", "input.std=[57,57,58]", "backbone.norm_eps=0.01"]
    config = Config.load("demo", [*small_words, *words])
    network = build_mask_rcnn(config, 2)
    write_network(tmp_path / "own.safetensors", network.state_dict(), config, ["Suit", "Dress"])
    opened = load_model(tmp_path / "own.safetensors")
    conventions = as_mask_rcnn(opened.network).conventions
    assert conventions == network.conventions
    assert conventions.backbone.norm_eps == 0.01
    assert opened.classes == ["Suit", "Dress"]
    assert opened.config == config


def test_files_of_others_are_not_ours(
    torchvision_state: dict[str, torch.Tensor], save: Callable[[object, str], Path]
) -> None:
    with pytest.raises(WeightsError, match="that clothseg did not write"):
        read_network(save(torchvision_state, "theirs.pth"))
