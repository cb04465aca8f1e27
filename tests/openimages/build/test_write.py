"""The files of a dataset."""

import csv
from pathlib import Path
from typing import Any

import numpy as np

from clothseg.openimages import build_dataset

A, B, C, D = "1" * 16, "12345678e9012345", "f00000000000000f", "2" * 16
SUIT, DRESS = "/m/01xyhv", "/m/01d40f"
A, B, C = "1" * 16, "12345678e9012345", "f00000000000000f"
SUIT, DRESS, SUITCASE = "/m/01xyhv", "/m/01d40f", "/m/01s55n"


def test_every_yaml_reader_reads_ids_as_text(good: Any, tmp_path: Path) -> None:
    good.mask("train", B, DRESS, "1234e568", np.zeros((30, 20), dtype=bool))
    build_dataset(good.write(), tmp_path / "out", ["Suit", "Dress"])
    assert "'1234e568'" in (tmp_path / "out" / "dataset.yaml").read_text()


def test_boxes_without_mask_are_listed(good: Any, tmp_path: Path, flagged: Any) -> None:
    build_dataset(flagged, tmp_path / "out", ["Suit", "Dress"])
    with (tmp_path / "out" / "boxes-without-mask.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(r["ImageID"], r["Class"], r["XMin"], r["PhotoKept"]) for r in rows] == [
        (A, "Suit", "0.26", "1"),
        (A, "Suit", "0.3", "1"),
    ]
