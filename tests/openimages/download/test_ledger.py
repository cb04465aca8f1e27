"""The ledger of verified files."""

import os
from pathlib import Path

from clothseg.errors import DataError
from clothseg.openimages.download.ledger import Ledger


def test_a_file_is_held_while_unchanged_or_equal(tmp_path: Path) -> None:
    path, notes = tmp_path / "a.jpg", tmp_path / "ledger"
    path.write_bytes(b"photo")
    with Ledger(tmp_path, notes) as ledger:
        assert not ledger.holds(path)
        ledger.add(path)
        assert ledger.holds(path)
    with notes.open("a") as stream:
        stream.write('{"file": "cut when it was ki')
    with Ledger(tmp_path, notes) as ledger:
        assert ledger.holds(path)
        os.utime(path, ns=(1, 1))
        assert ledger.holds(path), "another time, but equal bytes"
        path.write_bytes(b"phot0")
        assert not ledger.holds(path)
        path.write_bytes(b"photo, longer")
        assert not ledger.holds(path)
        path.unlink()
        assert not ledger.holds(path)
        (tmp_path / "b.jpg").write_bytes(b"after a cut line")
        ledger.add(tmp_path / "b.jpg")
    with Ledger(tmp_path, notes) as ledger:
        assert ledger.holds(tmp_path / "b.jpg")


def test_an_unknown_file_is_checked_and_a_changed_one_is_refused(tmp_path: Path) -> None:
    checked: list[Path] = []

    def check(path: Path) -> None:
        checked.append(path)
        if not path.is_file() or path.read_bytes() != b"photo":
            raise DataError("wrong")

    good, bad = tmp_path / "good.jpg", tmp_path / "bad.jpg"
    good.write_bytes(b"photo")
    bad.write_bytes(b"html")
    with Ledger(tmp_path, tmp_path / "ledger") as ledger:
        assert [ledger.accepts(path, check) for path in (good, bad, tmp_path / "absent.jpg", good)] == [
            True,
            False,
            False,
            True,
        ]
        assert checked == [good, bad, tmp_path / "absent.jpg"], "a known file is not checked again"
        good.write_bytes(b"html")
        assert not ledger.accepts(good, check)
        assert len(checked) == 3
