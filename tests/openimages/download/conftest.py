"""The sample under the paths of the published files, and how a test downloads it."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clothseg import sample
from clothseg.http import RetryPolicy
from clothseg.openimages.download import DownloadSummary, download

CLASSES = ["Suit", "Dress", "Jeans"]


def published(folder: Path) -> dict[str, bytes]:
    """The files of a folder in the layout of `dataset build`, by their published paths."""
    files = {}
    for path in sorted(p for p in folder.rglob("*") if p.suffix in {".csv", ".txt", ".json", ".zip", ".jpg"}):
        name = path.relative_to(folder).as_posix()
        split = name.partition("-")[0]
        if name.startswith("bbox_labels"):
            name = f"2018_04/{name}"
        elif "-images-" in name or name == "train-annotations-bbox.csv":
            name = f"2018_04/{split}/{name}"
        elif path.suffix != ".jpg":
            name = f"v5/{name}"
        files[name] = path.read_bytes()
    return files


@pytest.fixture(scope="session")
def sample_files() -> dict[str, bytes]:
    """The files of the sample by their published paths."""
    return published(sample.folder())


@pytest.fixture(scope="session")
def classes() -> list[str]:
    """The classes of the sample."""
    return CLASSES


@pytest.fixture
def fetch(retry_policy: RetryPolicy) -> Callable[..., DownloadSummary]:
    """Downloads from a site to a folder."""

    def fetched(site: Any, out: Path, classes: list[str] = CLASSES, **how: Any) -> DownloadSummary:
        return download(out, classes, source_url=site.url, **{"retry_policy": retry_policy, **how})

    return fetched


@pytest.fixture(scope="session")
def tree() -> Callable[[Path], dict[str, str]]:
    """Computes checksums of all files in a folder but the download's own notes."""

    def checksums(folder: Path) -> dict[str, str]:
        files = sorted(p for p in folder.rglob("*") if p.is_file() and ".download" not in p.parts)
        return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}

    return checksums
