"""Atomic writes, the names of files, and outputs that are refused."""

import errno
import itertools
import json
import ntpath
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path, PureWindowsPath
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from clothseg import files
from clothseg.errors import ClothsegError
from clothseg.files import (
    OutputNames,
    atomic_file,
    atomic_folder,
    atomic_write,
    read_json,
    read_json_array,
    remove_temporary,
    replace_file,
    require_absent,
    require_outside_inputs,
    safe_file_name,
)


def refusing(*calls: int) -> Callable[[Path, Path], Path]:
    """A `Path.replace` that fails in these calls (the first is 1), as if another program had the file open."""
    replace, counter = Path.replace, itertools.count(1)

    def replacement(source: Path, target: Path) -> Path:
        if next(counter) in calls:
            raise PermissionError(13, "The process cannot access the file")
        return replace(source, target)

    return replacement


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were slept, without the sleep."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_on_success_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    atomic_write(path, "Größe\n")
    assert path.read_bytes() == b"Gr\xc3\xb6\xc3\x9fe\n"
    with pytest.raises(RuntimeError, match="half way"), atomic_file(path) as temporary:
        assert temporary.suffix == ".txt"
        temporary.write_text("half")
        raise RuntimeError("half way")
    assert path.read_bytes() == b"Gr\xc3\xb6\xc3\x9fe\n"
    assert names(path.parent) == ["a.txt"]


@pytest.mark.parametrize("name", [f"{'x' * 240}.json", f"{'é' * 120}.json", f"a.{'x' * 240}"])
def test_a_long_name_is_written(tmp_path: Path, name: str) -> None:
    atomic_write(tmp_path / name, b"{}")
    assert (tmp_path / name).read_bytes() == b"{}"
    assert len(names(tmp_path)) == 1


def test_errors_name_the_file_that_people_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(place: Path, **_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(place))

    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(PermissionError) as failed:
        atomic_write(tmp_path / "a.png", b"")
    assert failed.value.filename == str(tmp_path / "a.png")
    with pytest.raises(PermissionError) as failed, atomic_folder(tmp_path / "out") as temporary:
        refuse(temporary / "images" / "1.png")
    assert failed.value.filename == str(tmp_path / "out" / "images" / "1.png")
    assert names(tmp_path) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full: Linux")
def test_a_folder_without_rights_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's error has what was opened: a path or a text, as Python's version has it."""

    def refuse(self: Path, *_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system", self)

    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(OSError, match="Read-only") as caught, atomic_file(tmp_path / "x.onnx"):
        pytest.fail("nothing can be written")
    assert caught.value.filename == str(tmp_path / "x.onnx")


def test_a_full_disk_names_the_file_and_an_error_of_another_kind_does_not(tmp_path: Path) -> None:
    """The system says which file it cannot open, but not which one it cannot write to."""

    def fill() -> None:
        with Path("/dev/full").open("wb", buffering=0) as full:
            full.write(b"x")

    with pytest.raises(OSError, match="space") as failed, atomic_file(tmp_path / "a.png"):
        fill()
    assert failed.value.filename == str(tmp_path / "a.png")
    with (
        pytest.raises(OSError, match="space") as failed,
        atomic_folder(tmp_path / "out") as folder,
        atomic_file(folder / "1.png"),
    ):
        fill()
    assert failed.value.filename == str(tmp_path / "out" / "1.png")
    with pytest.raises(ConnectionResetError) as other, atomic_file(tmp_path / "a.png"):
        raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
    assert other.value.filename is None
    assert names(tmp_path) == []


def test_what_a_killed_process_left_is_deleted_and_nothing_else(tmp_path: Path) -> None:
    left = (".0123456789abcdef", ".0123456789abcdef.png", "maps/.0123456789abcdef.png")
    mine = {".0123456789abcde.png", "0123456789abcdef.png", ".unfinished-01234567", "a/b/.0123456789abcdef.png"}
    for name in (*left, *mine):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    remove_temporary(tmp_path)
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()} == mine


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no umask")
def test_modes_obey_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        atomic_write(tmp_path / "a", "")
        with atomic_file(tmp_path / "b") as temporary:
            temporary.unlink()  # as a library that writes another file and renames it
            temporary.touch(mode=0o600)
        with atomic_folder(tmp_path / "c"):
            pass
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in "abc"] == [0o640, 0o640, 0o750]


def test_a_folder_is_replaced_on_success_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    with atomic_folder(out) as folder:
        (folder / "first").touch()
    with pytest.raises(ClothsegError, match="exists already"), atomic_folder(out):
        pass
    with pytest.raises(RuntimeError), atomic_folder(out, overwrite=True) as folder:
        (folder / "half").touch()
        raise RuntimeError
    assert (names(tmp_path), names(out)) == (["out"], ["first"])
    with pytest.raises(PermissionError), atomic_folder(out, overwrite=True) as folder:
        (folder / "second").touch()
        monkeypatch.setattr(Path, "replace", refusing(2))
    monkeypatch.undo()
    assert (names(tmp_path), names(out)) == (["out"], ["first"])
    with atomic_folder(out, overwrite=True) as folder:
        (folder / "second").touch()
    assert (names(tmp_path), names(out)) == (["out"], ["second"])


@pytest.mark.parametrize(
    ("system", "refusals", "works"), [("win32", 6, True), ("win32", 7, False), ("linux", 1, False)]
)
def test_windows_tries_again_while_a_file_is_open(
    system: str,
    refusals: int,
    works: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sleeps: list[float],
) -> None:
    (tmp_path / "new").write_text("new")
    (tmp_path / "old").write_text("old")
    monkeypatch.setattr(Path, "replace", refusing(*range(1, refusals + 1)))
    monkeypatch.setattr(sys, "platform", system)
    if works:
        replace_file(tmp_path / "new", tmp_path / "old")
    else:
        with pytest.raises(PermissionError):
            replace_file(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old").read_text() == ("new" if works else "old")
    assert sum(sleeps) == pytest.approx(3.15 if system == "win32" else 0)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Dress", "Dress"),
        ("Jupe à fleurs", "Jupe à fleurs"),
        ('a/b\\c:d*e?f"g<h>i|j', "a_b_c_d_e_f_g_h_i_j"),
        ("tab\there\0", "tab_here_"),
        ("size M. ", "size M"),
        ("...", "_"),
        ("", "_"),
        ("CON", "_CON"),
        ("nul.tar", "_nul.tar"),
        ("console", "console"),
        ("x" * 240, "x" * 100),
        ("ж" * 240, "ж" * 50),
        ("bad\udcff", "bad_"),
    ],
)
def test_a_class_name_becomes_a_file_name(text: str, name: str) -> None:
    assert safe_file_name(text) == name


def is_reserved(name: str) -> bool:
    """Whether Windows reserves a file name, by Python's own rules."""
    if sys.version_info >= (3, 13):
        return bool(ntpath.isreserved(name))
    return PureWindowsPath(name).is_reserved()


@pytest.mark.parametrize("suffix", ["", ".png", ".tar.gz", " .png"])
def test_names_that_windows_reserves_are_never_given(suffix: str) -> None:
    ports = [f"{port}{n}" for port in ("COM", "LPT") for n in (*range(10), "¹", "²", "³")]
    devices = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", *ports]
    names = [change(name) + suffix for name in devices for change in (str, str.lower, str.title)]
    assert sum(map(is_reserved, names)) > 60
    safe = [safe_file_name(name) for name in names]
    assert not any(map(is_reserved, safe))
    assert len(set(safe)) == len(set(names))


def test_output_names_are_unique_also_where_case_and_accents_do_not_count() -> None:
    names = OutputNames()
    given = [names.name(stem, ".png") for stem in ("a", "A", "a-2", "é", "e\u0301", "x" * 300, "x" * 301)]
    assert given == [
        "a.png",
        "A-2.png",
        "a-2-2.png",
        "é.png",
        "e\u0301-2.png",
        f"{'x' * 100}.png",
        f"{'x' * 100}-2.png",
    ]


def test_an_empty_folder_counts_as_absent(tmp_path: Path) -> None:
    require_absent(tmp_path)
    require_absent(tmp_path / "missing")
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file"):
        with pytest.raises(ClothsegError, match="--overwrite"):
            require_absent(path)
        require_absent(path, overwrite=True)


def test_results_do_not_go_among_the_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.jpg").touch()
    for out, given in ((photos, photos), (photos / "out", photos), (tmp_path, photos), (photos, photos / "a.jpg")):
        with pytest.raises(ClothsegError, match="among the inputs"):
            require_outside_inputs(out, [given])
    require_outside_inputs(tmp_path / "out", [photos])
    require_outside_inputs(photos / "out", [photos], allow_inside=True)
    for out, given in ((photos, photos), (tmp_path, photos), (photos / "a.jpg", photos / "a.jpg")):
        with pytest.raises(ClothsegError, match="among the inputs"):
            require_outside_inputs(out, [given], allow_inside=True)
    require_outside_inputs(tmp_path / "PHOTOS" / "out", [photos])

    def ignoring_case(first: Path, second: Path) -> bool:
        return str(first).lower() == str(second).lower()

    monkeypatch.setattr(Path, "samefile", ignoring_case)
    for out in (tmp_path / "PHOTOS", tmp_path / "Photos" / "out"):
        with pytest.raises(ClothsegError, match="among the inputs"):
            require_outside_inputs(out, [photos])


def test_json_with_numbers_that_json_lacks(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"loss": NaN, "most": Infinity}')
    tree = read_json(tmp_path / "a.json")
    assert tree["loss"] != tree["loss"]
    assert tree["most"] == float("inf")
    (tmp_path / "b.json").write_text("{")
    with pytest.raises(ValueError, match="line 1"):
        read_json(tmp_path / "b.json")


TRICKY = st.text(alphabet='ab"\\\\{}[], \n\u00e9', max_size=12)


@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(
    st.lists(st.dictionaries(TRICKY, TRICKY | st.integers(-9, 9) | st.lists(st.just({})), max_size=3), max_size=12),
    st.integers(1, 40),
    st.sampled_from([None, 1]),
)
def test_an_array_that_is_read_in_parts_is_whole_or_refused(rows: list[Any], block: int, indent: int | None) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder) / "a.json"
        path.write_text(json.dumps(rows, indent=indent, ensure_ascii=False), encoding="utf-8")
        patch.setattr(files, "_JSON_BLOCK", block)
        patch.setattr(files, "_JSON_TAIL", block)
        try:
            found = [row for part in read_json_array(path) for row in part]
        except ValueError:  # cut in a string or in a nested list
            assert re.search(r"\}\s*,\s*\{", path.read_text(encoding="utf-8"))
        else:
            assert found == rows


def test_an_array_of_plain_objects_is_read_in_parts(tmp_path: Path) -> None:
    rows = [{"id": n, "text": "x" * (n % 100)} for n in range(5000)]
    (tmp_path / "a.json").write_text("\n " + json.dumps(rows) + "\n")
    parts = list(read_json_array(tmp_path / "a.json"))
    assert len(parts) > 1
    assert [row for part in parts for row in part] == rows


@pytest.mark.parametrize("text", ["", "{}", '{"a": [{}, {}]}', "[{}, {}", "[{}] 7", "[{},, {}]", "[{}, NaN]"])
def test_what_is_not_an_array_of_json_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=r"."):
        list(read_json_array(tmp_path / "a.json"))
