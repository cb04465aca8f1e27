"""Weights that the tests of weights share."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

from clothseg.config import Config
from clothseg.networks import build_network
from clothseg.weights import write_network

SMALL = [
    "backbone.name=resnet18",
    "network.fpn.channels=32",
    "network.box_head.fc_dim=16",
    "network.mask_head.channels=8",
    "weights=random",
]
OLD_CLASSES = ["person", "tie", "hair drier"]


@pytest.fixture(scope="session")
def torchvision_state() -> dict[str, torch.Tensor]:
    """Torchvision's Mask R-CNN with the smallest backbone, for 2 classes."""
    torch.manual_seed(0)
    body = resnet_fpn_backbone(backbone_name="resnet18", weights=None)
    state: dict[str, torch.Tensor] = torchvision.models.detection.MaskRCNN(body, num_classes=3).state_dict()
    return state


@pytest.fixture
def save(tmp_path: Path) -> Callable[[object, str], Path]:
    """Writes an object with `torch.save` to a file of the test's folder."""

    def save_to(content: object, name: str) -> Path:
        torch.save(content, tmp_path / name)
        return tmp_path / name

    return save_to


@pytest.fixture(scope="session")
def torch_bytes(torchvision_state: dict[str, torch.Tensor]) -> bytes:
    """The content of a file of `torch.save` with `torchvision_state`."""
    buffer = io.BytesIO()
    torch.save(torchvision_state, buffer)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def small_overrides() -> list[str]:
    """Settings of a small network, over those of the preset `demo`."""
    return SMALL


@pytest.fixture(scope="session")
def old_classes() -> list[str]:
    """The classes of `trained`."""
    return OLD_CLASSES


@pytest.fixture
def trained(tmp_path: Path) -> tuple[Config, dict[str, torch.Tensor], str]:
    """Configuration, tensors and path of a file; no row has the values of a new network."""
    config = Config.load("demo", SMALL)
    state = build_network(config, len(OLD_CLASSES)).state_dict()
    generator = torch.Generator().manual_seed(5)
    state = {name: torch.rand(tensor.shape, generator=generator) + 1 for name, tensor in state.items()}
    path = tmp_path / "old.safetensors"
    write_network(path, state, config, OLD_CLASSES)
    return config, state, str(path)
