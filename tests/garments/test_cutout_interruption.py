"""`write_cutouts` after Ctrl-C and an error: what was cut out is listed, and the same call continues."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from decode_gallery import read_gallery
from PIL import Image

from clothseg.errors import ClothsegError, InterruptedRun
from clothseg.garments import CutoutSettings, write_cutouts
from clothseg.instances import Instances

from .conftest import NAMES, photo_with, rectangles

BOX = (30, 20, 70, 90)


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Four photos, of which the second cannot be read."""
    paths = [tmp_path / f"{name}.png" for name in "abcd"]
    for path in paths:
        Image.fromarray(photo_with(BOX)).save(path)
    paths[1].write_bytes(b"")
    return paths


def finder(at: int = 0, action: Callable[[], object] = lambda: None) -> Callable[[object], Instances]:
    """Finds two garments on every photo, and does something at one of the calls."""
    calls = []

    def predict(photo: object) -> Instances:
        calls.append(photo)
        if len(calls) == at:
            action()
        return rectangles((120, 100), (BOX, 2, 0.9), ((0, 0, 20, 20), 1, 0.8))

    return predict


def crash() -> None:
    raise RuntimeError("the power is gone")


def test_a_stop_lists_what_is_done_and_the_same_call_continues(photos: list[Path], tmp_path: Path) -> None:
    want = write_cutouts(finder(), NAMES, photos, tmp_path / "whole")
    out = tmp_path / "out"
    with pytest.raises(InterruptedRun, match="3 of 4 photos are done"):
        write_cutouts(finder(2, lambda: signal.raise_signal(signal.SIGTERM)), NAMES, photos, out)
    rows = json.loads((out / "cutouts.json").read_text())["cutouts"]
    assert [row["file_name"] for row in rows] == sorted(path.name for path in out.glob("0*.png"))
    assert len(rows) == 4
    with pytest.raises(ClothsegError, match=r"other inputs or settings \(full_frame was false, is true now\)"):
        write_cutouts(finder(), NAMES, photos, out, full_frame=True)
    changed = r"\(class was Suit, Dress, is Dress now; edges was regions, is grabcut now; input 1 was .*b.png now\)"
    with pytest.raises(ClothsegError, match=changed):
        write_cutouts(finder(), NAMES, photos[1:], out, classes=["Dress"], settings=CutoutSettings("grabcut"))
    assert write_cutouts(finder(2, crash), NAMES, photos, out) == want
    assert files_in(out) == files_in(tmp_path / "whole")


def test_the_gallery_of_cut_outs_is_the_same_after_a_stop(photos: list[Path], tmp_path: Path) -> None:
    write_cutouts(finder(), NAMES, photos, tmp_path / "whole", gallery=True)
    out = tmp_path / "out"
    with pytest.raises(InterruptedRun):
        write_cutouts(finder(2, lambda: signal.raise_signal(signal.SIGTERM)), NAMES, photos, out, gallery=True)
    write_cutouts(finder(), NAMES, photos, out, gallery=True)
    assert files_in(out) == files_in(tmp_path / "whole")
    rows = json.loads((out / "cutouts.json").read_text())["cutouts"]
    entries = read_gallery(out)["entries"]
    assert len(entries) == len(rows) == 6
    for entry, row in zip(entries, rows, strict=True):
        assert entry[:3] == [Path(row["photo"]).name, *row["box"][2:]]
        assert entry[8][0][1] == pytest.approx(1e4 * row["score"])
        assert entry[5] == row["file_name"]
        with Image.open(out / entry[3]) as small, Image.open(out / entry[5]) as cut:
            assert small.size == cut.size
    write_cutouts(finder(), NAMES, photos, out, overwrite=True)
    assert not (out / "index.html").exists()
    assert not (out / "gallery").exists()


def test_after_an_error_the_same_call_continues_or_overwrites(photos: list[Path], tmp_path: Path) -> None:
    write_cutouts(finder(), NAMES, photos, tmp_path / "whole")
    out = tmp_path / "out"
    with pytest.raises(RuntimeError):
        write_cutouts(finder(3, crash), NAMES, photos, out)
    write_cutouts(finder(2, crash), NAMES, photos, out)
    assert files_in(out) == files_in(tmp_path / "whole")
    with pytest.raises(RuntimeError):
        write_cutouts(finder(3, crash), NAMES, photos, out, overwrite=True)
    assert len(files_in(out)) == 4 + 1, "cut-outs of two photos, and the records"
    done = write_cutouts(finder(), NAMES, photos[3:], out, overwrite=True)
    assert done.photos == 1
    assert sorted(files_in(out)) == ["0001-d-1-Dress.png", "0001-d-2-Suit.png", "cutouts.json"]


def test_nothing_is_written_if_memory_runs_out_for_all(photos: list[Path], tmp_path: Path) -> None:
    def too_large(photo: object) -> Instances:
        raise MemoryError

    for gallery in (True, False):
        done = write_cutouts(too_large, NAMES, photos[:2], tmp_path / "out", gallery=gallery)
        assert (done.photos, done.garments, len(done.failed)) == (0, 0, 2)
        assert not (tmp_path / "out").exists()
    once = iter([rectangles((120, 100), (BOX, 2, 0.9))])

    def second_is_too_large(photo: object) -> Instances:
        if found := next(once, None):
            return found
        raise MemoryError

    done = write_cutouts(second_is_too_large, NAMES, [photos[0], photos[2]], tmp_path / "out")
    assert (done.photos, done.garments, len(done.failed)) == (1, 1, 1)


def test_a_photo_given_twice_is_done_twice(photos: list[Path], tmp_path: Path) -> None:
    assert write_cutouts(finder(), NAMES, [photos[0], photos[0]], tmp_path / "out").photos == 2
