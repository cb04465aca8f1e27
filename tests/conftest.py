"""Fixtures for all tests: reference weights, networks, and a server on this machine that fails on demand.

The weights of the reference folders are large and not in git. Their generators make them once on each machine.
"""

import gc
import getpass
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pretend_device
import pytest
import torch
from fresh_process import HEAVY, LIGHT, FreshProcesses
from site_server import Fault, Site, serving

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

if "PYTEST_XDIST_WORKER" in os.environ:  # tests side by side share the cores, and do not fight for them
    torch.set_num_threads(1)
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell lets the commands that it starts in the background ignore Ctrl-C, and their processes inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

PRETEND = pretend_device.install()  # now, because PyTorch counts devices at the first backward pass


def pytest_collection_finish() -> None:
    """Exempts what lives as long as all tests from garbage collection: its scans took a sixth of their time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def pretend() -> torch.device:
    """A device that finds tensors left on the CPU; see `pretend_device`."""
    return PRETEND


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FreshProcesses]:
    """Starts commands in processes of their own, which have imported nothing heavy."""
    processes = FreshProcesses(tmp_path_factory.mktemp("fresh"), LIGHT)
    yield processes
    processes.close()


@pytest.fixture(scope="session")
def fresh_torch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FreshProcesses]:
    """Starts commands in processes of their own, which have imported PyTorch."""
    processes = FreshProcesses(tmp_path_factory.mktemp("fresh"), HEAVY)
    yield processes
    processes.close()


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


@pytest.fixture
def serve() -> Iterator[Callable[..., Site]]:
    """Starts a server for files by path. It stops after the test."""
    with serving() as start:
        yield start


@pytest.fixture
def retry_policy() -> RetryPolicy:
    """A policy with short waits."""
    return RetryPolicy(attempts=4, timeout=1.0, initial_wait=0.01, max_wait=0.05)


@pytest.fixture
def fault() -> type[Fault]:
    """The class of what can go wrong with one response."""
    return Fault
