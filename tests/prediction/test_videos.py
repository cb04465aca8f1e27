"""Videos: times, size, rotation and damage, on videos that PyAV makes here."""

import builtins
import json
import tracemalloc
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO

from clothseg.errors import ClothsegError, VideoError
from clothseg.instances import Instances
from clothseg.prediction import OutputFormat, PredictOptions, predict_files
from clothseg.videos import Frame, open_video, write_video

from .conftest import NAMES, Picture, find, make_sound, make_video

pytest.importorskip("av")
VARYING = [0, 512, 1000, 1700, 1701, 4000, 4512, 9999]


def frames_of(path: Path) -> list[Frame]:
    with open_video(path) as video:
        frames = list(video.frames())
        assert video.problem() == ""
        assert video.unit == Fraction(1, 12800)
        return frames


def test_times_and_odd_sizes_are_kept(tmp_path: Path) -> None:
    make_video(tmp_path / "in.mp4", stamps=VARYING, size=(61, 47))
    before = frames_of(tmp_path / "in.mp4")
    assert [frame.stamp for frame in before] == VARYING
    assert before[0].pixels.shape == (47, 61, 3)
    with write_video(tmp_path / "out.mp4", Fraction(25), Fraction(1, 12800)) as film:
        for frame in before:
            film.add(frame.pixels, frame.stamp)
    after = frames_of(tmp_path / "out.mp4")
    assert [frame.stamp for frame in after] == VARYING
    for one, other in zip(before, after, strict=True):
        assert one.pixels.shape == other.pixels.shape
        assert np.abs(one.pixels.astype(int) - other.pixels).mean() < 5, "the same picture in the same colours"


@pytest.mark.parametrize(("rotation", "blue"), [(0, "top"), (90, "left"), (180, "bottom"), (-90, "right")])
def test_videos_are_turned_upright(tmp_path: Path, rotation: int, blue: str) -> None:
    """The blue quarter is at the top of the stored picture; degrees are counter-clockwise."""
    make_video(tmp_path / "in.mp4", frames=2, rotation=rotation)
    pixels = frames_of(tmp_path / "in.mp4")[0].pixels
    assert pixels.shape[:2] == ((48, 64) if rotation in {0, 180} else (64, 48))
    edges = {"top": pixels[3], "left": pixels[:, 3], "bottom": pixels[-4], "right": pixels[:, -4]}
    means = {name: np.median(edge, axis=0) for name, edge in edges.items()}
    assert max(means, key=lambda name: means[name][2] - means[name][0]) == blue


def test_a_video_gets_a_video_and_coco_annotations(tmp_path: Path) -> None:
    make_video(tmp_path / "clip.mp4", stamps=VARYING)
    out = tmp_path / "out"
    forms = frozenset({OutputFormat.COCO, OutputFormat.PICTURES, OutputFormat.CSV})
    done = predict_files(find, NAMES, [tmp_path / "clip.mp4"], out, PredictOptions(forms, batch=3, frame_stride=2))
    assert done is not None
    assert (done.photos, done.videos, done.instances, done.failed) == (0, 1, 8, [])
    assert sorted(p.name for p in out.iterdir()) == ["0001-clip.csv", "0001-clip.json", "0001-clip.mp4", "images.json"]
    assert [frame.stamp for frame in frames_of(out / "0001-clip.mp4")] == VARYING[::2]
    theirs = COCO(str(out / "0001-clip.json"))
    images = theirs.loadImgs(theirs.getImgIds())
    assert [image["id"] for image in images] == [1, 2, 3, 4]
    assert [image["frame"] for image in images] == [0, 2, 4, 6]
    assert [image["time"] for image in images] == pytest.approx([stamp / 12800 for stamp in VARYING[::2]], abs=1e-6)
    assert [(image["width"], image["height"]) for image in images] == [(64, 48)] * 4
    for row in theirs.loadAnns(theirs.getAnnIds(catIds=[2])):
        assert theirs.annToMask(row).sum() == row["area"] == 48 * 32
    assert len(theirs.getAnnIds()) == 12
    assert (out / "0001-clip.csv").read_text().count("\n") == 13


def test_batches_change_nothing_in_a_video(tmp_path: Path) -> None:
    make_video(tmp_path / "clip.mp4")
    for batch in (1, 3):
        predict_files(find, NAMES, [tmp_path / "clip.mp4"], tmp_path / str(batch), PredictOptions(batch=batch))
    for name in ("0001-clip.json", "0001-clip.mp4", "images.json"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "3" / name).read_bytes()


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    most: list[int] = []
    for frames in (8, 8, 48):
        path = tmp_path / f"{len(most)}.mp4"
        make_video(path, frames=frames, codec="mpeg4", size=(320, 240))
        tracemalloc.start()
        predict_files(find, NAMES, [path], tmp_path / f"out{len(most)}")
        most.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert most[2] < most[1] + 320 * 240 * 3, "40 frames more take less than one frame more"


def test_files_that_are_not_videos_are_refused(tmp_path: Path) -> None:
    make_video(tmp_path / "good.mp4", frames=60)
    good = (tmp_path / "good.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(good[: len(good) // 2])  # the index is at the end, so it is lost
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mov").write_text("no video at all, just words " * 99)
    make_sound(tmp_path / "sound.mp4")
    make_video(tmp_path / "none.mp4", frames=0)
    messages = {
        "cut.mp4": "not a video that can be read",
        "empty.mp4": "0 bytes",
        "text.mov": "not a video that can be read",
        "sound.mp4": "no video in this file; it contains audio",
        "absent.mp4": "no such video",
    }
    for name, message in messages.items():
        with pytest.raises(VideoError, match=message), open_video(tmp_path / name):
            pass
    paths = [tmp_path / name for name in (*messages, "none.mp4", "good.mp4")]
    done = predict_files(find, NAMES, paths, tmp_path / "out")
    assert done is not None
    assert (done.videos, len(done.failed)) == (1, 6)
    assert [p.name for p in sorted((tmp_path / "out").iterdir())] == ["0007-good.json", "0007-good.mp4", "images.json"]


def test_a_damaged_video_is_written_as_far_as_possible_and_reported(tmp_path: Path) -> None:
    make_video(tmp_path / "clip.mkv", frames=60, codec="mpeg4")
    whole = (tmp_path / "clip.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    done = predict_files(find, NAMES, [tmp_path / "cut.mkv"], tmp_path / "out")
    assert done is not None
    assert done.videos == 1
    assert "damaged or cut" in done.failed[0]
    listed = json.loads((tmp_path / "out/images.json").read_text())["videos"][0]
    assert 5 < listed["frames"] < 55
    assert len(frames_of_any(tmp_path / "out/0001-cut.mp4")) == listed["frames"]


def frames_of_any(path: Path) -> list[Frame]:
    with open_video(path) as video:
        return list(video.frames())


def test_an_error_in_the_middle_leaves_no_partial_file(tmp_path: Path) -> None:
    make_video(tmp_path / "clip.mp4")
    calls = []

    def failing(photos: Sequence[Picture]) -> list[Instances]:
        calls.append(1)
        if len(calls) == 4:
            raise RuntimeError("out of memory")
        return find(photos)

    with pytest.raises(RuntimeError):
        predict_files(failing, NAMES, [tmp_path / "clip.mp4"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_pyav_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_video(tmp_path / "clip.mp4", frames=1)
    imported = builtins.__import__

    def without(name: str, *words: Any) -> Any:
        if name == "av":
            raise ImportError("no av")
        return imported(name, *words)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ClothsegError, match=r'pip install "clothseg\[video\]"'):
        predict_files(find, NAMES, [tmp_path / "clip.mp4"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
