"""Fixtures of the tests that give broken inputs to every reader."""

from pathlib import Path

import pytest
from fuzzing import Fuzz


@pytest.fixture
def fuzz(tmp_path: Path) -> Fuzz:
    """Runs a reader on many broken inputs."""
    return Fuzz(tmp_path)
