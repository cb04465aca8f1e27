"""Photos for catalogues, and the files that a run leaves."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stub_network import SHARD_SIZE, StubSource

from clothseg.catalogue import CatalogueOptions, CatalogueSummary, Predict, open_catalogue, run_catalogue


def files_in(folder: Path) -> dict[str, bytes]:
    """The bytes of all files in a folder, by name."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def save_photo(path: Path, number: int) -> None:
    """A small PNG; photos of different numbers are different."""
    pixels = np.zeros((8 + number % 3, 12, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = number % 256, number * 7 % 256
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of ten photos, and in the place of the seventh a file that is not a photo."""
    folder = tmp_path / "photos"
    for number in range(11):
        save_photo(folder / f"{number:02d}.png", number)
    (folder / "06.png").write_bytes(b"no photo")
    return folder


Run = Callable[..., CatalogueSummary]


@pytest.fixture
def run() -> Run:
    """Predicts on inputs with the stub; options are those of `CatalogueOptions`."""

    def call(inputs: object, out: object, *, work: object = None, **options: object) -> CatalogueSummary:
        given = inputs if isinstance(inputs, list) else [str(inputs)]
        chosen = CatalogueOptions(**{"shard_size": SHARD_SIZE, **options})  # type: ignore[arg-type]
        return run_catalogue(open_catalogue(given), Predict(), StubSource(), str(out), chosen, work=work)

    return call
