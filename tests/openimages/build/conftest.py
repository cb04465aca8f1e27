"""How tests read a built dataset, and a source with boxes that have no mask."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from pycocotools import mask as referee


@pytest.fixture(scope="session")
def load() -> Callable[..., dict[str, Any]]:
    """Reads the COCO file of a split."""

    def read(out: Path, split: str = "train") -> dict[str, Any]:
        document: dict[str, Any] = json.loads((out / "annotations" / f"{split}.json").read_text(encoding="utf-8"))
        return document

    return read


@pytest.fixture(scope="session")
def described() -> Callable[[Path], dict[str, Any]]:
    """Reads `dataset.yaml`."""

    def read(out: Path) -> dict[str, Any]:
        document: dict[str, Any] = yaml.safe_load((out / "dataset.yaml").read_text(encoding="utf-8"))
        return document

    return read


@pytest.fixture(scope="session")
def digests() -> Callable[[Path], dict[str, str]]:
    """Computes checksums of all files in a folder."""

    def compute(out: Path) -> dict[str, str]:
        files = sorted(p for p in out.rglob("*") if p.is_file())
        return {str(p.relative_to(out)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}

    return compute


@pytest.fixture(scope="session")
def pixels() -> Callable[[dict[str, Any]], NDArray[np.bool_]]:
    """Decodes the RLE of an annotation with pycocotools."""

    def decode(annotation: dict[str, Any]) -> NDArray[np.bool_]:
        return np.asarray(referee.decode(annotation["segmentation"]), dtype=bool)

    return decode


@pytest.fixture
def flagged(good: Any) -> Path:
    """A source where photo A has a box and a group box without a mask, and the mask of B has a group's box."""
    image_id = "1" * 16
    good.box("train", image_id, "/m/01xyhv", 0.3, group=1)
    good.box("train", image_id, "/m/01xyhv", 0.26)
    good.boxes["train"][0] = good.boxes["train"][0].replace(",0,0,0,0,0", ",1,-1,1,0,0")
    return Path(good.write())
