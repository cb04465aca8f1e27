"""Fixtures for all tests: reference weights, networks, and a server on this machine that fails on demand.

The weights of the reference folders are large and not in git. Their generators make them once on each machine.
"""

import getpass
import hashlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import hypothesis
import pretend_device
import pytest
import torch

from clothseg.config import Config
from clothseg.http import RetryPolicy
from clothseg.networks import Network, build_network
from clothseg.networks.mask_rcnn.network import MaskRCNNNetwork
from clothseg.networks.yolact.network import YolactNetwork

REFERENCE = Path(__file__).parents[1].parent / "shared" / "reference"
CACHE = Path(tempfile.gettempdir()) / f"clothseg-reference-weights-{getpass.getuser()}"
ENDINGS = {"matterport": ".h5", "yolact": ".pth"}
"""Of the origins that have one file; those of detectron2's layouts end in `.pkl`."""
DETECTRON2 = ("detectron2", "caffe2", "caffe2-stats", "caffe2-detector", "heuristics")


hypothesis.settings.register_profile("any speed", deadline=None)  # a busy machine is no fault
hypothesis.settings.load_profile("any speed")

PRETEND = pretend_device.install()  # now, because PyTorch counts devices at the first backward pass


@pytest.fixture(scope="session")
def pretend() -> torch.device:
    """A device that finds tensors left on the CPU; see `pretend_device`."""
    return PRETEND


@pytest.fixture(scope="session")
def reference_weights() -> Callable[[str], Path]:
    """Returns the weights file for `matterport`, `yolact`, a layout of detectron2, or a model of DeepLab."""

    def made(name: str) -> Path:
        if "deeplab" in name:
            return make_deeplab_weights(name)
        folder = REFERENCE / (name if name in ENDINGS else "detectron2")
        if not folder.is_dir():
            pytest.skip(f"no reference files: {folder}")
        path = CACHE / f"{name}{ENDINGS.get(name, '.pkl')}"
        if not path.is_file():
            CACHE.mkdir(exist_ok=True)
            temporary = path.with_name(f"{os.getpid()}-{path.name}")
            words = [sys.executable, str(folder / "make_weights.py"), str(temporary)]
            if name == "heuristics":
                words.append("--heuristics")
            elif name not in ENDINGS:
                words += ["--names", name, "--check"]
            subprocess.run(words, check=True, capture_output=True)
            temporary.replace(path)
        return path

    return made


def make_deeplab_weights(name: str) -> Path:
    """The weights file of a model of `reference/deeplab/config.json`; its generator checks the SHA-256."""
    folder = REFERENCE / "deeplab"
    if not folder.is_dir():
        pytest.skip(f"no reference files: {folder}")
    path = CACHE / f"{name}{'.pth' if name.startswith('deeplab') else '.pkl'}"
    if not path.is_file():
        CACHE.mkdir(exist_ok=True)
        temporary = path.with_name(f"{os.getpid()}-{path.name}")
        words = [sys.executable, str(folder / "make_weights.py"), name, str(temporary)]
        subprocess.run(words, check=True, capture_output=True)
        temporary.replace(path)
    return path


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of the reference files."""
    if not REFERENCE.is_dir():
        pytest.skip(f"no reference files: {REFERENCE}")
    return REFERENCE


@pytest.fixture(scope="session")
def as_mask_rcnn() -> Callable[[Network], MaskRCNNNetwork]:
    """Narrows the type of a network to Mask R-CNN, for tests that use its parts."""

    def narrowed(network: Network) -> MaskRCNNNetwork:
        assert isinstance(network, MaskRCNNNetwork)
        return network

    return narrowed


@pytest.fixture(scope="session")
def build_mask_rcnn(
    as_mask_rcnn: Callable[[Network], MaskRCNNNetwork],
) -> Callable[[Config, int], MaskRCNNNetwork]:
    """Like `build_network`, for a configuration whose network is Mask R-CNN."""
    return lambda config, classes: as_mask_rcnn(build_network(config, classes))


@pytest.fixture(scope="session")
def as_yolact() -> Callable[[Network], YolactNetwork]:
    """Narrows the type of a network to YOLACT, for tests that use its parts."""

    def narrowed(network: Network) -> YolactNetwork:
        assert isinstance(network, YolactNetwork)
        return network

    return narrowed


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one response.

    Attributes:
        status: instead of the file.
        headers: added to the response; they replace its own.
        drop_after: bytes of the body after which the connection is cut.
        body: instead of the right one.
        extra_length: added to the true Content-Length.
        no_length: neither Content-Length nor chunks; the body ends with the connection.
        pause: seconds before the body.
        ignore_range: send the whole file.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    drop_after: int | None = None
    body: bytes | None = None
    extra_length: int = 0
    no_length: bool = False
    pause: float = 0.0
    ignore_range: bool = False


FaultRule = Callable[[str, int], Fault | None]
"""Gets a path and the number of earlier requests for it; returns what goes wrong."""


@dataclass
class Site:
    """Files by path, and how they are served. `log` has path, Range, If-Range and time of each request."""

    files: dict[str, bytes]
    ranges: bool = True
    etags: bool = True
    rule: FaultRule = lambda path, count: None
    log: list[tuple[str, str | None, str | None, float]] = field(default_factory=list)
    sent: int = 0
    url: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def asked(self, part: str) -> list[tuple[str, str | None, str | None, float]]:
        """Requests for paths that contain `part`."""
        return [line for line in self.log if part in line[0]]

    def once(self, fault: Fault, part: str = "") -> None:
        """Makes the first request for each path with `part` go wrong."""
        self.rule = lambda path, count: fault if count == 0 and part in path else None

    def always(self, fault: Fault, part: str = "") -> None:
        """Makes every request for a path with `part` go wrong."""
        self.rule = lambda path, count: fault if part in path else None


class _SiteHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        site, path = self.site, self.path.lstrip("/")
        with site.lock:
            count = site.counts[path]
            site.counts[path] += 1
            site.log.append((path, self.headers.get("Range"), self.headers.get("If-Range"), time.monotonic()))
        fault = site.rule(path, count) or Fault()
        whole = site.files.get(path)
        if fault.status or whole is None:
            self._send(fault.status or 404, b"sorry", {}, fault)
            return
        etag = f'"{hashlib.sha1(whole).hexdigest()[:12]}"'
        headers = {"ETag": etag} if site.etags else {}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        fresh = self.headers.get("If-Range", etag) == etag
        if wanted and site.ranges and fresh and not fault.ignore_range:
            start, last = int(wanted[1]), min(int(wanted[2] or len(whole)), len(whole) - 1)
            if start > last:
                self._send(416, b"", {"Content-Range": f"bytes */{len(whole)}"}, fault)
                return
            headers["Content-Range"] = f"bytes {start}-{last}/{len(whole)}"
            self._send(206, whole[start : last + 1], headers, fault)
        else:
            self._send(200, whole, headers, fault)

    def _send(self, status: int, body: bytes, headers: dict[str, str], fault: Fault) -> None:
        body = body if fault.body is None else fault.body
        self.send_response_only(status)
        if fault.no_length:
            self.close_connection = True
            headers["Connection"] = "close"
        else:
            headers["Content-Length"] = str(len(body) + fault.extra_length)
        for name, value in (headers | dict(fault.headers)).items():
            self.send_header(name, value)
        self.end_headers()
        time.sleep(fault.pause)
        sent = body if fault.drop_after is None else body[: fault.drop_after]
        try:
            self.wfile.write(sent)
            self.wfile.flush()
        except OSError:
            self.close_connection = True
        with self.site.lock:
            self.site.sent += len(sent)
        if fault.drop_after is not None or fault.extra_length:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@pytest.fixture
def serve() -> Iterator[Callable[..., Site]]:
    """Starts a server for files by path. It stops after the test."""
    servers = []

    def start(files: Mapping[str, bytes], **how: bool) -> Site:
        site = Site(dict(files), **how)  # type: ignore[arg-type]
        server = _QuietServer(("127.0.0.1", 0), type("Handler", (_SiteHandler,), {"site": site}))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        site.url = f"http://127.0.0.1:{server.server_port}"
        return site

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def retry_policy() -> RetryPolicy:
    """A policy with short waits."""
    return RetryPolicy(attempts=4, timeout=1.0, initial_wait=0.01, max_wait=0.05)


@pytest.fixture
def fault() -> type[Fault]:
    """The class of what can go wrong with one response."""
    return Fault
