"""The places of masks, and the messages when a mask is missing."""

import zipfile
from pathlib import Path

import pytest

from clothseg.errors import DataError
from clothseg.openimages import MaskArchive, MissingMaskError

NAME = "f032e98c18693a58_m01n4qj_3492fef3.png"


def zipped(path: Path, member: str, data: bytes = b"mask") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.mkdir("train-masks-f")
        archive.writestr(member, data)
    return path


@pytest.mark.parametrize("member", [NAME, f"train-masks-f/{NAME}"])
@pytest.mark.parametrize("place", ["train-masks/train-masks-f.zip", "train-masks-f.zip"])
def test_mask_from_a_zip(tmp_path: Path, member: str, place: str) -> None:
    zipped(tmp_path / place, member)
    with MaskArchive(tmp_path, "train") as archive:
        assert archive.read(NAME) == b"mask"
        assert archive.read(f"some/folder/{NAME}") == b"mask"


@pytest.mark.parametrize("folder", ["train-masks", "train-masks/train-masks-f", "train-masks-f"])
def test_mask_from_a_folder(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / NAME).write_bytes(b"loose")
    with MaskArchive(tmp_path, "train") as archive:
        assert archive.read(NAME) == b"loose"


def test_missing_zip_and_missing_member_have_different_messages(tmp_path: Path) -> None:
    zipped(tmp_path / "train-masks" / "train-masks-f.zip", NAME)
    with MaskArchive(tmp_path, "train") as archive:
        with pytest.raises(MissingMaskError, match=r"f0\.png: not in .*train-masks-f\.zip"):
            archive.read("f0.png")
        with pytest.raises(MissingMaskError, match=r"and there is no train-masks-0\.zip"):
            archive.read("0f.png")
    with pytest.raises(DataError, match="validation-masks: no such folder"):
        MaskArchive(tmp_path, "validation")


def test_a_zip_cut_short_and_one_with_a_flipped_byte(tmp_path: Path) -> None:
    path = zipped(tmp_path / "train-masks" / "train-masks-f.zip", NAME, b"x" * 100)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"x" * 100, b"x" * 99 + b"y"))
    with MaskArchive(tmp_path, "train") as archive, pytest.raises(DataError, match="cannot be read"):
        archive.read(NAME)
    path.write_bytes(whole[:-30])
    with MaskArchive(tmp_path, "train") as archive, pytest.raises(DataError, match="not a zip"):
        archive.read(NAME)
