"""The folder of the results on this machine."""

import errno
import os
from pathlib import Path

import pytest

from clothseg.catalogue.store import Store


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full: Linux")
def test_a_full_disk_names_the_file_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel refuses the bytes: what is written goes to /dev/full."""

    def to_full(self: Path, content: bytes) -> int:
        with Path("/dev/full").open("wb", buffering=0) as full:
            return full.write(content)

    monkeypatch.setattr(Path, "write_bytes", to_full)
    with pytest.raises(OSError, match="No space left") as caught:
        Store(str(tmp_path)).write("photos/shard-000001.parquet", b"rows")
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(tmp_path / "photos" / "shard-000001.parquet")
    assert list((tmp_path / "photos").iterdir()) == []
