"""Fixtures for all tests.

The weights of the reference folders are large and not in git. Their generators make them once on each machine.
"""

import getpass
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from clothseg.config import Config
from clothseg.networks import Network, build_network
from clothseg.networks.mask_rcnn.network import MaskRCNNNetwork

REFERENCE = Path(__file__).parents[1].parent / "shared" / "reference"
CACHE = Path(tempfile.gettempdir()) / f"clothseg-reference-weights-{getpass.getuser()}"
DETECTRON2 = ("detectron2", "caffe2", "caffe2-stats", "caffe2-detector", "heuristics")


@pytest.fixture(scope="session")
def reference_weights() -> Callable[[str], Path]:
    """Returns the weights file for `matterport` or for a layout of detectron2."""

    def made(name: str) -> Path:
        folder = REFERENCE / ("matterport" if name == "matterport" else "detectron2")
        if not folder.is_dir():
            pytest.skip(f"no reference files: {folder}")
        path = CACHE / f"{name}{'.h5' if name == 'matterport' else '.pkl'}"
        if not path.is_file():
            CACHE.mkdir(exist_ok=True)
            temporary = path.with_name(f"{os.getpid()}-{path.name}")
            words = [sys.executable, str(folder / "make_weights.py"), str(temporary)]
            if name == "heuristics":
                words.append("--heuristics")
            elif name != "matterport":
                words += ["--names", name, "--check"]
            subprocess.run(words, check=True, capture_output=True)
            temporary.replace(path)
        return path

    return made


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
