"""Commands of clothseg in a light installation: each file of tests has the fixture `libraries`, a folder of its own."""

from pathlib import Path

import pytest
from other_libraries import Begin, Run, in_folder, to_its_end


@pytest.fixture
def begin(libraries: Path, tmp_path: Path) -> Begin:
    """Starts a command of clothseg with these libraries, in the folder of the test."""
    return in_folder(libraries, tmp_path)


@pytest.fixture
def run(begin: Begin) -> Run:
    """Runs such a command to its end."""
    return to_its_end(begin)
