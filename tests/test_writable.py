"""Whether something can be written at a path."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from clothseg.errors import ClothsegError
from clothseg.files import require_absent
from clothseg.writable import require_writable


@pytest.mark.parametrize("name", ["new", "new/below/it", "empty", "empty/new.png", "file", "beside.png"])
def test_nothing_is_left_where_something_can_be_written(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_bytes(b"mine")
    before = sorted(tmp_path.rglob("*"))
    require_writable(tmp_path / name)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "file").read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["file/x", "file/x/y.png"])
def test_a_file_in_the_way_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ClothsegError) as caught:
        require_writable(tmp_path / name)
    assert str(caught.value) == f"{tmp_path / name}: {tmp_path / 'file'} is a file, not a folder; choose another place"
    with pytest.raises(ClothsegError, match="not a folder"):
        require_writable(tmp_path / "file", folder=True)


@pytest.mark.parametrize("check", [require_writable, require_absent])
def test_a_place_where_nobody_can_write_is_refused(check: Callable[[Path], None]) -> None:
    place = Path("/proc/clothseg-results")
    if not place.parent.is_dir():
        pytest.skip("needs a folder in which the system allows no new files, even for the superuser: Linux")
    with pytest.raises(ClothsegError) as caught:
        check(place)
    assert str(caught.value) == f"{place}: nothing can be written here ({os.strerror(2)}); choose another place"
    assert not place.exists()
