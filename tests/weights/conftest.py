"""Weights and a server of files that the tests of weights share."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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
CONTENT = bytes(range(256)) * 12_000


@pytest.fixture(scope="session")
def torchvision_state() -> dict[str, torch.Tensor]:
    """Torchvision's network with the smallest backbone, 2 classes."""
    torch.manual_seed(0)
    body = resnet_fpn_backbone(backbone_name="resnet18", weights=None)
    state: dict[str, torch.Tensor] = torchvision.models.detection.MaskRCNN(body, num_classes=3).state_dict()
    return state


@pytest.fixture
def save(tmp_path: Path) -> Callable[[object, str], Path]:
    """Writes with `torch.save` under a name in the test's folder."""

    def saved(content: object, name: str) -> Path:
        torch.save(content, tmp_path / name)
        return tmp_path / name

    return saved


@pytest.fixture(scope="session")
def small_words() -> list[str]:
    """Settings of a small network, over those of the preset `demo`."""
    return SMALL


@pytest.fixture(scope="session")
def old_classes() -> list[str]:
    """The classes of `trained`."""
    return OLD_CLASSES


@pytest.fixture
def trained(tmp_path: Path) -> tuple[Config, dict[str, torch.Tensor], str]:
    """Configuration, tensors and path of a file whose rows all differ from what a new network has."""
    config = Config.load("demo", SMALL)
    state = build_network(config, len(OLD_CLASSES)).state_dict()
    generator = torch.Generator().manual_seed(5)
    state = {name: torch.rand(tensor.shape, generator=generator) + 1 for name, tensor in state.items()}
    path = tmp_path / "old.safetensors"
    write_network(path, state, config, OLD_CLASSES)
    return config, state, str(path)


@pytest.fixture(scope="session")
def content() -> bytes:
    """What the server gives."""
    return CONTENT


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT by ranges; `/cut` stops in the middle of the first answer, `/whole` knows no ranges."""

    asked: list[tuple[str, str | None]] = []  # noqa: RUF012 - emptied by the fixture `server`

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.asked.append((self.path, wanted))
        if self.path == "/gone":
            self.send_error(404)
            return
        start = int(wanted.split("=")[1].rstrip("-")) if wanted and self.path != "/whole" else 0
        if start >= len(CONTENT):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        cut = self.path == "/cut" and len(self.asked) == 1
        self.wfile.write(CONTENT[start : len(CONTENT) // 2] if cut else CONTENT[start:])

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    """The address of a local server of `content`."""
    Handler.asked.clear()
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{made.server_address[1]}"
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def asked() -> list[tuple[str, str | None]]:
    """Path and range of each request that the server has had."""
    return Handler.asked
