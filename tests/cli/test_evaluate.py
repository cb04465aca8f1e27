"""The commands `evaluate`, on results files, and `compare`."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clothseg.cli import main
from clothseg.evaluation import Metrics, evaluate_coco
from clothseg.instances import encode, tight_box


def clothseg(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr("sys.argv", ["clothseg", *map(str, words)])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


def instance(photo: int, x: int) -> dict[str, Any]:
    mask = np.zeros((60, 80), dtype=bool)
    mask[10:40, x : x + 30] = True
    rle = encode(mask)
    return {"image_id": photo, "category_id": 1, "segmentation": rle, "bbox": list(tight_box(rle))}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The annotations of 12 photos, good and bad results, and two runs."""
    truth = {
        "images": [{"id": n, "file_name": f"{n}.jpg", "height": 60, "width": 80} for n in range(12)],
        "annotations": [instance(n, 5 + n) | {"id": n} for n in range(12)],
        "categories": [{"id": 1, "name": "Suit"}],
    }
    good = [instance(n, 5 + n) | {"score": 0.5 + n / 100} for n in range(12)]
    bad = [row if row["image_id"] % 2 else instance(row["image_id"], 45) | {"score": 0.9} for row in good]
    (tmp_path / "data/annotations").mkdir(parents=True)
    (tmp_path / "data/annotations/val.json").write_text(json.dumps(truth))
    for name, rows in (("good", good), ("bad", bad)):
        (tmp_path / f"{name}.json").write_text(json.dumps(rows))
        (tmp_path / name).mkdir()
        (tmp_path / name / "predictions.json").write_text(json.dumps(rows))
        (tmp_path / name / "metrics.json").write_text(evaluate_coco(truth, rows, resamples=0).to_json())
        (tmp_path / name / "run.json").write_text(json.dumps({"data": "data"}))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_results_file_is_evaluated(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clothseg(monkeypatch, "evaluate", "good.json", "data", "--out", "scores.json") == 0
    shown = capsys.readouterr()
    assert "100.0" in shown.out
    assert "report's, not COCO's" in shown.out
    assert "wrote scores.json" in shown.err
    assert Metrics.from_json((files / "scores.json").read_text()).overall["mask_AP"] == pytest.approx(1.0)
    assert clothseg(monkeypatch, "evaluate", "good.json", "data", "--out", "quiet.json", "--quiet") == 0
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "")  # the file has it
    assert clothseg(monkeypatch, "evaluate", "good.json", "data", "--quiet") == 0
    assert "100.0" in capsys.readouterr().out  # nothing else has it
    assert clothseg(monkeypatch, "evaluate", "bad.json", "data/annotations/val.json", "--json", "--quiet") == 0
    assert Metrics.from_json(capsys.readouterr().out).overall["mask_AP50"] == pytest.approx(0.25, abs=0.01)


def test_scores_that_are_logits_give_the_same_precision(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Average precision depends on the order of scores only; only calibration needs probabilities."""
    rows = json.loads((files / "bad.json").read_text())
    (files / "logits.json").write_text(json.dumps([row | {"score": 20 * row["score"] - 15} for row in rows]))
    found = {}
    for name in ("bad", "logits"):
        assert clothseg(monkeypatch, "evaluate", f"{name}.json", "data", "--out", f"{name}-scores.json") == 0
        found[name] = Metrics.from_json((files / f"{name}-scores.json").read_text())
    for metric in ("mask_AP", "mask_AP50", "box_AP", "boundary_AP"):
        assert found["logits"].overall[metric] == found["bad"].overall[metric]
    assert found["bad"].reliability is not None
    assert found["logits"].reliability is None
    shown = capsys.readouterr().out
    assert shown.count("Expected calibration error") == 1
    assert "Scores outside 0..1: 12" in shown


def test_wrong_options_are_one_message(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (files / "scores.json").write_text("mine")
    (files / "foreign.json").write_text(json.dumps([instance(99, 5) | {"score": 1}]))
    for words, message in (
        (("evaluate", "good.json", "data", "--out", "scores.json"), "exists already"),
        (("evaluate", "foreign.json", "data"), "photo 99, which the ground truth does not have"),
        (("evaluate", "good.json", "data", "--initial-weights"), "results file has no network"),
        (("evaluate", "good.json", "data", "--calibrate"), "--calibrate needs a run's folder"),
        (("evaluate", "good", "data", "--calibrate", "--initial-weights"), "do not go together"),
        (("evaluate", "good", "data", "--out", "scores.json"), "--out is only for a results file"),
        (("evaluate", "good.json", "nowhere.json"), "nowhere.json: no such file"),
        (("compare", "good.json", "bad.json"), "name it with --data"),
        (("compare", "good", "nowhere.json"), "nowhere.json: no such run or results file"),
        (("compare", "good", "data"), "data: a COCO dataset, not an evaluated run"),
    ):
        assert clothseg(monkeypatch, *words) == 2, words
        assert message in capsys.readouterr().err
    assert (files / "scores.json").read_text() == "mine"


def test_two_runs_are_compared(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clothseg(monkeypatch, "compare", "bad", "good", "--resamples", "100", "--out", "difference.json") == 0
    assert "B is better by" in capsys.readouterr().out
    found = json.loads((files / "difference.json").read_text())
    assert found["differences"]["mask_AP"]["interval"]["low"] > 0
    assert found["photos"] == 12
    assert clothseg(monkeypatch, "compare", "good.json", "bad", "--data", "data", "--resamples", "100") == 0
    assert "A is better by" in capsys.readouterr().out


def test_a_dataset_that_was_moved_must_be_named(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (files / "data").rename(files / "elsewhere")
    assert clothseg(monkeypatch, "compare", "good", "bad") == 2
    assert "name its place with --data" in capsys.readouterr().err
    assert clothseg(monkeypatch, "compare", "good", "bad", "--data", "elsewhere", "--resamples", "100") == 0


def test_runs_that_were_moved_with_their_data_find_it(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project = files / "project"
    (project / "runs").mkdir(parents=True)
    for name, place in (("good", "runs"), ("bad", "runs"), ("data", "")):
        (files / name).rename(project / place / name)
    for here in (files, project, project / "runs"):
        monkeypatch.chdir(here)
        runs = [(project / "runs" / name).relative_to(here) for name in ("bad", "good")]
        assert clothseg(monkeypatch, "compare", *runs, "--resamples", "100") == 0, capsys.readouterr().err
        assert "B is better by" in capsys.readouterr().out
    (project / "data").rename(project / "runs" / "good" / "data")  # as in the demo
    assert clothseg(monkeypatch, "compare", "good", "good", "--resamples", "100") == 0
    assert clothseg(monkeypatch, "compare", "bad", "good") == 2
    assert "bad was trained on data, which is neither here nor beside the run" in capsys.readouterr().err


def test_a_run_that_was_evaluated_on_other_photos_is_not_compared(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = files / "data/annotations/val.json"
    truth = json.loads(path.read_text())
    path.write_text(json.dumps(truth | {"annotations": truth["annotations"][:-1]}))
    assert clothseg(monkeypatch, "compare", "good", "bad") == 2
    assert "evaluate it again" in capsys.readouterr().err


def test_a_split_of_an_export_is_evaluated_and_compared(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = json.loads((files / "data/annotations/val.json").read_text())
    for name, count in (("valid", 12), ("test", 6)):
        (files / "export" / name).mkdir(parents=True)
        part = truth | {"images": truth["images"][:count], "annotations": truth["annotations"][:count]}
        (files / "export" / name / "_annotations.coco.json").write_text(json.dumps(part))
    assert clothseg(monkeypatch, "evaluate", "good.json", "export", "--json", "--quiet") == 0
    assert Metrics.from_json(capsys.readouterr().out).photos == 12
    few = json.loads((files / "good.json").read_text())[:6]
    (files / "few.json").write_text(json.dumps(few))
    assert clothseg(monkeypatch, "evaluate", "few.json", "export", "--split", "test", "--json", "--quiet") == 0
    assert Metrics.from_json(capsys.readouterr().out).photos == 6
    words = ("compare", "few.json", "few.json", "--data", "export", "--resamples", "100", "--split")
    assert clothseg(monkeypatch, *words, "test", "--json") == 0
    assert json.loads(capsys.readouterr().out)["photos"] == 6
    assert clothseg(monkeypatch, *words, "tset") == 2
    assert (
        "no split 'tset' (did you mean test?); there is test (test/_annotations.coco.json), valid"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("words", [("evaluate", "stopped", "data"), ("predict", "stopped", "data"),
                                   ("fit", "data", "--out", "new", "--weights", "stopped")])  # fmt: skip
def test_a_run_that_was_stopped_in_its_first_epoch_can_continue(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    (files / "stopped/checkpoints").mkdir(parents=True)
    for name in ("config.yaml", "log.txt", "run.json", "checkpoints/last.pt"):
        (files / "stopped" / name).touch()
    assert clothseg(monkeypatch, *words) == 2
    assert capsys.readouterr().err == (
        "error: stopped: the training stopped before its first epoch ended, so it has no weights; continue with: "
        "clothseg fit DATA --out stopped --resume\n"
    )


@pytest.mark.parametrize(
    ("empty", "sentence"),
    [
        (1, "no object of A0, so this class has no metrics."),
        (3, "no object of 3 classes, so they have no metrics: A0, A1, A2."),
        (
            200,
            "no object of 200 classes, so they have no metrics: A0, A1, A2, A3, A4, A5, A6, A7, A8, A9 and 190 more.",
        ),
    ],
)
def test_classes_without_objects_are_one_sentence(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], empty: int, sentence: str
) -> None:
    path = files / "data/annotations/val.json"
    truth = json.loads(path.read_text())
    truth["categories"] += [{"id": 2 + number, "name": f"A{number}"} for number in range(empty)]
    path.write_text(json.dumps(truth))
    assert clothseg(monkeypatch, "evaluate", "good.json", "data", "--json") == 0
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert [note for note in notes if "no metrics" in note] == [f"The ground truth has {sentence}"]
