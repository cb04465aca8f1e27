"""The data set that most tests of training use: three photos to learn from, three to validate."""

from pathlib import Path

import pytest

from clothseg import sample
from clothseg.openimages import build_dataset


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("data") / "tiny"
    build_dataset(sample.folder(), out, ["Suit", "Dress", "Jeans"], limit=3)
    return out
