"""What a catalogue refuses before the network is opened, and how it says what has changed."""

import json
from pathlib import Path
from typing import Any

import pytest
from stub_network import SHARD_SIZE, StubSource

from clothseg.catalogue import (
    CatalogueOptions,
    CutOut,
    Predict,
    Share,
    TableFormat,
    merge_catalogue,
    open_catalogue,
    run_catalogue,
)
from clothseg.errors import ClothsegError
from clothseg.garments import CutoutSettings

from .conftest import Run, files_in, save_photo

FACTS: dict[str, Any] = {
    "version": "1",
    "weights": "ab" * 32,
    "settings": {"inference": {"max_detections": 9}},
    "overrides": ["inference.nms_iou=0.5"],
    "classes": None,
    "score_threshold": 0.3,
}


def test_a_folder_that_cannot_be_written_is_known_before_the_network_is_opened(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/photos").touch()
    source = StubSource(log=str(tmp_path / "log"))
    for place, named in (("file", "file"), ("file/out", "file"), ("out", "out/photos")):
        for overwrite in (False, True):
            with pytest.raises(ClothsegError, match=rf"{tmp_path / named} is a file, not a folder"):
                run_catalogue(open_catalogue([str(photos)]), Predict(), source, str(tmp_path / place),
                              CatalogueOptions(overwrite=overwrite))  # fmt: skip
    assert list((tmp_path / "log").iterdir()) == []
    assert list(tmp_path.glob("**/.*")) == []


CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "score": ({"score_threshold": 0.5}, {}, "(score_threshold was 0.3, is 0.5 now)"),
    "weights": ({"weights": "cd" * 32}, {}, "(SHA-256 of the weights was abababababab, is cdcdcdcdcdcd now)"),
    "override": ({"overrides": ["inference.nms_iou=0.6"]}, {}, "(inference.nms_iou was 0.5, is 0.6 now)"),
    "no override": ({"overrides": []}, {}, "(inference.nms_iou was 0.5, is not set now)"),
    "settings file": (
        {"settings": {"inference": {"max_detections": 7}}},
        {},
        "(inference.max_detections was 9, is 7 now)",
    ),
    "size and format": (
        {},
        {"shard_size": 3, "form": TableFormat.JSONL},
        "(format was parquet, is jsonl now; shard_size was 4, is 3 now)",
    ),
    "version": ({"version": "2"}, {}, "(version of clothseg was 1, is 2 now)"),
    "many": (
        {"version": "2", "weights": "cd" * 32, "overrides": [], "score_threshold": None},
        {"shard_size": 3},
        "is cdcdcdcdcdcd now; and 2 more)",
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_the_setting_that_has_changed_is_named(case: str, photos: Path, tmp_path: Path, run: Run) -> None:
    facts, options, message = CHANGES[case]
    run(photos, tmp_path / "out", work=FACTS)
    before = files_in(tmp_path / "out")
    with pytest.raises(ClothsegError, match=r"of another network, or of other settings \(.*--overwrite") as caught:
        run(photos, tmp_path / "out", work=FACTS | facts, **options)
    assert message in str(caught.value)
    assert files_in(tmp_path / "out") == before


def test_cut_outs_are_not_mixed_with_detections_or_with_others(photos: Path, tmp_path: Path, run: Run) -> None:
    def cut(task: CutOut) -> None:
        options = CatalogueOptions(shard_size=SHARD_SIZE)
        run_catalogue(open_catalogue([str(photos)]), task, StubSource(), str(tmp_path / "out"), options, work=FACTS)

    run(photos, tmp_path / "out", work=FACTS)
    with pytest.raises(ClothsegError, match=r"\(table was detections, is garments now\)"):
        cut(CutOut())
    run(photos, tmp_path / "out", work=FACTS, overwrite=True)
    (tmp_path / "out").rename(tmp_path / "detections")
    cut(CutOut(("Dress",)))
    changed = r"\(classes was Dress, is not set now; edges was regions, is grabcut now\)"
    with pytest.raises(ClothsegError, match=changed):
        cut(CutOut(settings=CutoutSettings("grabcut")))


def test_a_folder_of_an_earlier_version_is_refused_without_names(photos: Path, tmp_path: Path, run: Run) -> None:
    run(photos, tmp_path / "out", work=FACTS)
    for path in (tmp_path / "out/shards").iterdir():
        receipt = json.loads(path.read_text())
        del receipt["settings"]
        path.write_text(json.dumps(receipt))
    assert run(photos, tmp_path / "out", work=FACTS).earlier == 3
    with pytest.raises(ClothsegError, match="of another network, or of other settings; choose another --out"):
        run(photos, tmp_path / "out", work="other")


def test_a_merge_names_the_setting_that_is_different(photos: Path, tmp_path: Path, run: Run) -> None:
    run(photos, tmp_path / "a", work=FACTS, share=Share(1, 2))
    run(photos, tmp_path / "b", work=FACTS | {"score_threshold": 0.4}, share=Share(2, 2))
    message = r"b: made with another network or other settings than shard-000001 \(score_threshold is 0.4, there 0.3\)"
    with pytest.raises(ClothsegError, match=message):
        merge_catalogue([str(tmp_path / "a"), str(tmp_path / "b")], tmp_path / "merged")


def test_the_photo_that_has_changed_is_named(photos: Path, tmp_path: Path, run: Run) -> None:
    names = [str(path) for path in sorted(photos.iterdir())]
    place = tmp_path / "list.txt"

    def refused(changed: list[str]) -> str:
        place.write_text("\n".join(changed))
        with pytest.raises(ClothsegError, match="the list has changed") as caught:
            run(place, tmp_path / "out")
        return str(caught.value)

    place.write_text("\n".join(names))
    run(place, tmp_path / "out")
    before = files_in(tmp_path / "out")
    new = str(photos / "new.png")
    swapped = [*names[:5], names[6], names[5], *names[7:]]  # 06.png is in the table of errors
    assert (
        f"shard-000002.json: this shard is of other photos; the list has changed: photo 6 was {names[5]}, is "
        f"{names[6]} now" in refused(swapped)
    )
    assert f"photo 1 was {names[0]}, is {new} now" in refused([new, *names[1:]])
    assert f"it ended with photo 11 ({names[10]}), and photo 12 is {new} now" in refused([*names, new])
    assert f"photo 11 was {names[10]}, and there is no such photo now" in refused(names[:10])
    assert "it ends with photo 8 now, and had more" in refused(names[:8])
    assert files_in(tmp_path / "out") == before


def test_a_photo_that_has_changed_in_an_earlier_shard_is_counted(photos: Path, tmp_path: Path, run: Run) -> None:
    run(photos, tmp_path / "out", share=Share(2, 2))
    save_photo(photos / "00b.png", 3)
    (photos / "01.png").unlink()
    with pytest.raises(ClothsegError, match="one of the photos before number 5 is another one now"):
        run(photos, tmp_path / "out", share=Share(2, 2))
