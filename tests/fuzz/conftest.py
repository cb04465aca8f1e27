"""Fixtures of the tests that give broken inputs to every reader."""

from pathlib import Path

import pytest
from fuzzing import Fuzz, blocks


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Makes a test of each block of inputs, so that many inputs use every core."""
    if "seeds" in metafunc.fixturenames and len(blocks()) > 1:
        metafunc.parametrize("seeds", blocks(), ids=lambda seeds: f"from-{seeds.start}", scope="function")


@pytest.fixture
def seeds() -> range:
    """The numbers of the inputs."""
    return blocks()[0]


@pytest.fixture
def fuzz(tmp_path: Path, seeds: range) -> Fuzz:
    """Runs a reader on many broken inputs."""
    return Fuzz(tmp_path, seeds)
