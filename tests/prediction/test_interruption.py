"""`predict_files` after Ctrl-C, a kill and an error: what was found is kept, and the same call continues."""

import json
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from clothseg.errors import ClothsegError, InterruptedRun
from clothseg.instances import Instances, Selection
from clothseg.journal import folder_lock, is_unfinished
from clothseg.prediction import OutputFormat, PredictOptions, predict_files
from clothseg.writable import LOCK_NAME

from .conftest import NAMES, Picture, find, make_video

EVERYTHING = PredictOptions(frozenset(OutputFormat))


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


class Counting:
    """Finds as `find` does, counts the photos, and does something at one of them."""

    def __init__(self, at: int, action: Callable[[], object]) -> None:
        self.at, self.action, self.calls = at, action, 0

    def __call__(self, photos: Sequence[Picture]) -> list[Instances]:
        before, self.calls = self.calls, self.calls + len(photos)
        if before < self.at <= self.calls:
            self.action()
        return find(photos)


def crash() -> None:
    raise RuntimeError("the power is gone")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("batch", [1, 2])
def test_a_stop_keeps_what_was_found_and_the_same_call_continues(
    photos: list[Path], tmp_path: Path, number: signal.Signals, batch: int
) -> None:
    out = tmp_path / "out"
    options = PredictOptions(frozenset(OutputFormat), batch=batch)
    want = predict_files(find, NAMES, photos, tmp_path / "whole", options)
    stopping = Counting(2, lambda: signal.raise_signal(number))
    with pytest.raises(InterruptedRun, match="the same command continues"):
        predict_files(stopping, NAMES, photos, out, options)
    listed = json.loads((out / "images.json").read_text())["images"]
    rows = json.loads((out / "predictions.json").read_text())
    whole = json.loads((tmp_path / "whole" / "predictions.json").read_text())
    assert 0 < len(listed) < 5
    assert rows == [row for row in whole if row["image_id"] in {image["id"] for image in listed}]
    rest = Counting(0, crash)
    messages: list[str] = []
    assert predict_files(rest, NAMES, photos, out, options, notify=messages.append) == want
    assert rest.calls <= 5 - len(listed)
    assert len(messages) == 1
    assert files_in(out) == files_in(tmp_path / "whole")


def test_after_an_error_or_a_kill_the_same_call_continues(photos: list[Path], tmp_path: Path) -> None:
    """A kill leaves the records, of which the last line may be cut, and the lock."""
    out = tmp_path / "out"
    predict_files(find, NAMES, photos, tmp_path / "whole", EVERYTHING)
    with pytest.raises(RuntimeError):
        predict_files(Counting(4, crash), NAMES, photos, out, EVERYTHING)
    (records,) = out.glob(".unfinished-*")
    lines = records.read_text().splitlines()
    records.write_text("\n".join(lines[:-1]) + "\n" + lines[-1][:40])
    (out / LOCK_NAME).touch()
    rest = Counting(0, crash)
    predict_files(rest, NAMES, photos, out, EVERYTHING)
    assert rest.calls == 3
    assert files_in(out) == files_in(tmp_path / "whole")


def test_a_photo_that_could_not_be_read_is_tried_again(photos: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(RuntimeError):
        predict_files(Counting(3, crash), NAMES, photos, out)
    photos[2].write_bytes(photos[0].read_bytes())
    done = predict_files(find, NAMES, photos, out)
    assert done is not None
    assert (done.photos, done.failed) == (6, [])


def test_other_work_is_not_continued(photos: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(RuntimeError):
        predict_files(Counting(3, crash), NAMES, photos, out, work="first network")
    before = files_in(out)
    with pytest.raises(ClothsegError, match=r"unfinished results of other inputs or settings.*--overwrite"):
        predict_files(find, NAMES, photos, out, work="second network")
    with pytest.raises(ClothsegError, match="other inputs or settings"):
        predict_files(find, NAMES, photos[1:], out, work="first network")
    assert files_in(out) == before
    done = predict_files(find, NAMES, photos[1:], out, work="first network", overwrite=True)
    assert done is not None
    assert done.photos == 4
    assert not is_unfinished(out)
    assert not (out / "0006-photo4.png").exists(), "an old file"


CHANGES: dict[str, tuple[dict[str, Any], PredictOptions, str]] = {
    "score": ({"score_threshold": 0.5}, PredictOptions(), "(score_threshold was 0.3, is 0.5 now)"),
    "weights": ({"weights": "cd" * 32}, PredictOptions(), "(SHA-256 of the weights was abababababab, is cdcdcdcdcdcd"),
    "format": ({}, PredictOptions(frozenset({OutputFormat.CSV})), "(format was coco, pictures, is csv now)"),
    "pictures": (
        {},
        PredictOptions(shown=Selection(0.5, {1: 0.25})),
        "(lowest score of Suit in pictures was not set, is 0.25 now)",
    ),
    "both": (
        {"version": "2"},
        PredictOptions(frame_stride=3),
        "(frame_stride was 1, is 3 now; version of clothseg was",
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_the_setting_that_has_changed_is_named(case: str, photos: list[Path], tmp_path: Path) -> None:
    """As a catalogue names it."""
    facts, options, message = CHANGES[case]
    before = {"version": "1", "weights": "ab" * 32, "score_threshold": 0.3}
    out = tmp_path / "out"
    with pytest.raises(RuntimeError):
        predict_files(Counting(3, crash), NAMES, photos, out, work=before)
    with pytest.raises(ClothsegError, match=r"inputs or settings \(.*--overwrite to replace them") as caught:
        predict_files(find, NAMES, photos, out, options, work=before | facts)
    assert message in str(caught.value)


def test_the_input_that_has_changed_is_named(photos: list[Path], tmp_path: Path) -> None:
    """The third of six cannot be read, and two are done before the crash."""
    out = tmp_path / "out"
    with pytest.raises(RuntimeError):
        predict_files(Counting(3, crash), NAMES, photos, out)

    def refused(now: Sequence[Path]) -> str:
        with pytest.raises(ClothsegError, match="of other inputs or settings") as caught:
            predict_files(find, NAMES, now, out)
        return str(caught.value).partition("settings ")[2].partition("; repeat")[0]

    a, b, *others = photos
    assert refused([b, a, *others]) == f"(input 1 was {a}, is {b} now)"
    assert refused([a]) == f"(input 2 was {b}, and there is no such input now)"
    assert refused([*photos, a]) == "(there were 6 inputs, and there are 7 now)"
    assert refused([*photos[:-1], a]) == "(an input that was not done yet is another one now)"
    (records,) = out.glob(".unfinished-*")
    _, *lines = records.read_text().splitlines()
    for header in ('{"unfinished": "0"}', "broken", "[1]"):
        records.write_text("\n".join([header, *lines]) + "\n")
        assert refused(photos) == "", "of an earlier version, or damaged"


def test_nothing_is_written_if_memory_runs_out_for_all(photos: list[Path], tmp_path: Path) -> None:
    def too_large(photos: Sequence[Picture]) -> list[Instances]:
        raise MemoryError

    for options in (EVERYTHING, PredictOptions(gallery=True)):
        done = predict_files(too_large, NAMES, photos[:2], tmp_path / "out", options)
        assert done is not None
        assert (done.photos, len(done.failed)) == (0, 2)
        assert not (tmp_path / "out").exists()


def test_two_calls_do_not_write_to_one_folder(photos: list[Path], tmp_path: Path) -> None:
    with folder_lock(tmp_path / "out"), pytest.raises(ClothsegError, match="another command is writing"):
        predict_files(find, NAMES, photos, tmp_path / "out")
    assert predict_files(find, NAMES, photos, tmp_path / "out") is not None
    assert not (tmp_path / "out" / LOCK_NAME).exists()


def test_a_video_is_complete_up_to_the_stop_and_done_again(tmp_path: Path) -> None:
    make_video(tmp_path / "clip.mp4")
    out = tmp_path / "out"
    predict_files(find, NAMES, [tmp_path / "clip.mp4"], tmp_path / "whole", EVERYTHING)
    stopping = Counting(3, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(InterruptedRun, match="0 of 1"):
        predict_files(stopping, NAMES, [tmp_path / "clip.mp4"], out, EVERYTHING)
    (entry,) = json.loads((out / "images.json").read_text())["videos"]
    assert entry["frames"] == 3
    assert len(json.loads((out / entry["results"]).read_text())["images"]) == 3
    assert (out / entry["video"]).stat().st_size > 0
    predict_files(find, NAMES, [tmp_path / "clip.mp4"], out, EVERYTHING)
    assert (out / "images.json").read_bytes() == (tmp_path / "whole" / "images.json").read_bytes()
    assert sorted(files_in(out)) == sorted(files_in(tmp_path / "whole"))
