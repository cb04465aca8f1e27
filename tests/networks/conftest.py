"""Photos for the tests of networks."""

import pytest
from torch import Tensor

from clothseg.networks import to_float, to_tensor
from clothseg.photos import read_photo
from clothseg.sample import folder


@pytest.fixture(scope="session")
def sample_photos() -> list[Tensor]:
    """The first three photos of the sample, float RGB `[3, H, W]` in 0..1."""
    return [to_float(to_tensor(read_photo(path))) for path in sorted((folder() / "train").glob("*.jpg"))[:3]]
