"""The best examples of an evaluated run of squares, with IoUs by hand; from Python and by `figures`."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from PIL import Image

from clothseg.cli import main
from clothseg.errors import ClothsegError, ConfigError
from clothseg.evaluation import evaluate_coco
from clothseg.instances import encode, tight_box
from clothseg.report.best_examples import best_examples, write_figures
from clothseg.report.reading import read_run, results_by_photo

SIZE = (60, 80)
T = TypeVar("T")


def instance(photo: int, label: int, x: int, **more: Any) -> dict[str, Any]:
    """A square of 20 x 20 pixels with its left edge at `x`."""
    mask = np.zeros(SIZE, dtype=bool)
    mask[10:30, x : x + 20] = True
    rle = encode(mask)
    return {"image_id": photo, "category_id": label, "segmentation": rle, "bbox": list(tight_box(rle)), **more}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Suits found with IoU 1, 18/22, 10/30 and, with a low score, 1; no dress found. The file of photo 4 is missing."""
    (tmp_path / "data/annotations").mkdir(parents=True)
    (tmp_path / "data/images").mkdir()
    images = [{"id": n, "file_name": f"p{n}.png", "height": 60, "width": 80} for n in (1, 2, 3, 4)]
    for n in (1, 2, 3):
        Image.new("RGB", (80, 60), (40 * n, 90, 90)).save(tmp_path / f"data/images/p{n}.png")
    truth = {
        "images": images,
        "annotations": [instance(n, 1, 10, id=n, iscrowd=0, area=400) for n in (1, 2, 3, 4)]
        + [instance(1, 2, 50, id=9, iscrowd=0, area=400)],
        "categories": [{"id": 1, "name": "Suit"}, {"id": 2, "name": "Dress"}],
    }
    found = [instance(2, 1, 10, score=0.6), instance(1, 1, 12, score=0.9), instance(3, 1, 20, score=0.9),
             instance(4, 1, 10, score=0.55), instance(3, 1, 10, score=0.3)]  # fmt: skip
    (tmp_path / "data/annotations/val.json").write_text(json.dumps(truth))
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "predictions.json").write_text(json.dumps(found))
    (folder / "metrics.json").write_text(evaluate_coco(truth, found, resamples=0).to_json())
    (folder / "run.json").write_text(json.dumps({"data": "data"}))
    monkeypatch.chdir(tmp_path)
    return folder


def clothseg(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr("sys.argv", ["clothseg", *map(str, words)])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


def test_examples_are_sorted_by_iou_and_start_at_one_half(run: Path) -> None:
    truth = read_run(run, Path("data")).val
    assert truth is not None
    rows = json.loads((run / "predictions.json").read_text())
    results = results_by_photo(truth.images, [row for row in rows if row["score"] >= 0.5])
    suits = best_examples(truth, results, 1)
    assert [example.image["id"] for example in suits] == [2, 4, 1]
    assert [example.iou for example in suits] == pytest.approx([1, 1, 18 / 22])
    assert [example.score for example in suits] == [0.6, 0.55, 0.9]
    assert best_examples(truth, results, 2) == []


def test_the_command_writes_sheets_and_photos(
    run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clothseg(monkeypatch, "figures", "run", "--out", "out") == 1, "photo 4 is missing"
    said = capsys.readouterr().err
    assert "2 of Suit, 0 of Dress" in said
    assert "p4.png: no such photo" in said
    written = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.png"))
    assert written == ["Suit.png", "photos/p1.png", "photos/p2.png"]
    with Image.open("out/photos/p2.png") as picture:
        assert picture.size == (80, 60)
        pixel = np.asarray(picture, dtype=float)[26, 24]
    blue = 0.38 * np.array([30, 105, 215]) + 0.62 * np.array([80, 90, 90])
    assert np.abs(pixel - blue).max() <= 1
    words = ("figures", "run", "--out", "out", "--all", "--overwrite", "--threshold", "Suit=0.2")
    assert clothseg(monkeypatch, *words) == 1
    assert "3 of Suit" in capsys.readouterr().err, "the detection with a low score on photo 3 counts now"
    assert (tmp_path / "out/photos/p3.png").is_file()


def test_figures_are_written_from_python(run: Path, tmp_path: Path) -> None:
    walked: list[tuple[int, str]] = []

    def progress(items: Iterable[T], total: int, what: str, /) -> Iterable[T]:
        walked.append((total, what))
        return items

    done = write_figures(run, tmp_path / "out", class_thresholds={"Suit": 0.2}, best=2, progress=progress)
    assert (dict(done.examples), done.photos, done.unread) == ({"Suit": 2, "Dress": 0}, 2, [])
    assert walked == [(2, "drawing")]
    with pytest.raises(ConfigError, match="did you mean Suit"):
        write_figures(run, tmp_path / "other", class_thresholds={"Sut": 0.2})
    assert not (tmp_path / "other").exists()


def test_photos_of_one_stem_and_outside_the_folder_are_each_drawn_inside(run: Path, tmp_path: Path) -> None:
    """`file_name` may be absolute, lead out of the folder, or differ by its suffix only."""
    annotations = tmp_path / "data/annotations/val.json"
    truth = json.loads(annotations.read_text())
    elsewhere = tmp_path / "originals" / "p.png"
    elsewhere.parent.mkdir()
    for image, path in zip(truth["images"], (elsewhere, Path("../p.png"), Path("p.jpg")), strict=False):
        Image.open(tmp_path / "data/images" / image["file_name"]).save(tmp_path / "data/images" / path)
        image["file_name"] = str(path)
    annotations.write_text(json.dumps(truth))
    original = elsewhere.read_bytes()
    done = write_figures(run, tmp_path / "out", tmp_path / "data", every_photo=True)
    assert (done.photos, len(done.unread)) == (3, 1)
    assert sorted(p.name for p in (tmp_path / "out/photos").iterdir()) == ["p-2.png", "p-3.png", "p.png"]
    assert elsewhere.read_bytes() == original
    assert {p.name for p in tmp_path.iterdir()} == {"data", "out", "run", "originals"}


@pytest.mark.parametrize("out", ["data", "data/annotations", "originals"])
def test_figures_never_replace_what_they_are_drawn_from(run: Path, tmp_path: Path, out: str) -> None:
    annotations = tmp_path / "data/annotations/val.json"
    truth = json.loads(annotations.read_text())
    (tmp_path / "originals").mkdir()
    (tmp_path / "data/images/p1.png").rename(tmp_path / "originals/p1.png")
    truth["images"][0]["file_name"] = str(tmp_path / "originals/p1.png")
    annotations.write_text(json.dumps(truth))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ClothsegError, match="among the inputs"):
        write_figures(run, tmp_path / out, tmp_path / "data", overwrite=True)
    assert sorted(tmp_path.rglob("*")) == before


def test_wrong_options_are_one_message(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (run.parent / "bare").mkdir()
    for words, message in (
        (("run", "--threshold", "Sut=0.2"), "did you mean Suit?"),
        (("run", "--score-threshold", "1"), "no detection is correct"),
        (("bare", "--data", "data"), "not an evaluated run"),
        (("bare",), "not an evaluated run"),
        (("run", "--data", "nowhere"), "nowhere"),
    ):
        assert clothseg(monkeypatch, "figures", *words, "--out", "out") == 2, words
        assert message in capsys.readouterr().err
        assert not (run.parent / "out").exists()
