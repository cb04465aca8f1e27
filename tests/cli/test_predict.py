"""The command `predict`: thresholds, patterns, a moved run, processes."""

import json
import os
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from clothseg import sample
from clothseg.cli import main
from clothseg.config import Config
from clothseg.evaluation import ClassMetrics, Metrics
from clothseg.evaluation.values import Threshold
from clothseg.models import MaskRCNN
from clothseg.photos import read_photo
from clothseg.runs import RunFolder
from clothseg.videos import write_video

TINY = [
    "input.height=96",
    "input.width=64",
    "network.fpn.channels=32",
    "network.box_head.fc_dim=64",
    "network.mask_head.channels=32",
    "network.anchors.scales=[[48],[96],[192]]",
    "network.anchors.ratios=[0.5,1,2]",
    "inference.score_threshold=0.0",
    "inference.mask_threshold=0.2",
    "inference.max_detections=6",
]
VALIDATION = sorted((sample.folder() / "validation").glob("*.jpg"))


def clothseg(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr("sys.argv", ["clothseg", *map(str, words)])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """An evaluated run: the best threshold of a Dress is 0.3."""
    folder = RunFolder(tmp_path / "run")
    MaskRCNN(Config.load("demo", TINY)).build(["Suit", "Dress"]).save(folder.weights)
    metrics = Metrics({}, {"Dress": ClassMetrics(1, {})}, 1, 1, thresholds={"Dress": Threshold(0.3, 0.5, 0.5, 0.5)})
    folder.metrics.write_text(metrics.to_json())
    return folder.path


def scores(out: Path) -> dict[int, list[float]]:
    rows = json.loads((out / "predictions.json").read_text())
    return {label: sorted(row["score"] for row in rows if row["category_id"] == label) for label in (1, 2)}


def test_thresholds_of_an_evaluation_and_of_single_classes(
    run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    words = ("predict", run, VALIDATION[0], "--format", "coco")
    assert clothseg(monkeypatch, *words, "--out", tmp_path / "all") == 0
    everything = scores(tmp_path / "all")
    assert everything[1]
    assert everything[2]
    middle = everything[2][len(everything[2]) // 2]
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["thresholds"]["Dress"]["score"] = middle
    (run / "metrics.json").write_text(json.dumps(metrics))
    wanted = {1: everything[1], 2: [score for score in everything[2] if score >= middle]}
    moved = run.rename(tmp_path / "moved")
    words = ("predict", moved, VALIDATION[0], "--format", "coco")
    for name, source in (("best", "best"), ("file", moved / "metrics.json")):
        assert clothseg(monkeypatch, *words, "--thresholds", source, "--out", tmp_path / name) == 0
        assert scores(tmp_path / name) == wanted
    over = ("--thresholds", "best", "--threshold", "Dress=1", "--out", tmp_path / "over")
    assert clothseg(monkeypatch, *words, *over) == 0
    assert scores(tmp_path / "over") == {1: everything[1], 2: []}


def test_the_summary_counts_instances_and_names_the_missing_formats_of_videos(
    run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("av")
    with write_video(tmp_path / "clip.mp4", Fraction(5), Fraction(1, 10)) as film:
        film.add(read_photo(VALIDATION[0]), 0)
    words = ["predict", run, VALIDATION[0], tmp_path / "clip.mp4", "--out", tmp_path / "out", "--format", "class-maps"]
    assert clothseg(monkeypatch, *words, "--score-threshold", 1) == 0
    said = capsys.readouterr().err.splitlines()
    assert said[-2].startswith("0 instances on 1 photo and 1 video, each with a score of 1 or more")
    assert said[-1] == "there are no class-maps for videos; --format coco has the masks of each frame"


def test_one_garment_gets_one_class(run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The untrained network finds the same for every class; with 0.01, masks of two classes never overlap."""
    from pycocotools import mask as referee

    words = (
        "predict",
        run,
        VALIDATION[0],
        "--format",
        "coco",
        "--class-agnostic-nms",
        "0.01",
        "--out",
        tmp_path / "out",
    )
    assert clothseg(monkeypatch, *words) == 0
    rows = json.loads((tmp_path / "out/predictions.json").read_text())
    assert rows
    for one in rows:
        for other in rows:
            if one["category_id"] != other["category_id"]:
                assert referee.iou([one["segmentation"]], [other["segmentation"]], [0])[0, 0] < 0.01


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--threshold", "Dres=0.5"), "no class 'Dres'; did you mean Dress?"),
        (("--threshold", "Dress"), "write it as CLASS=SCORE"),
        (("--threshold", "Dress=2"), "--threshold 'Dress=2': a score is from 0 to 1"),
        (("--threshold", "Dress=nan"), "--threshold 'Dress=nan': a score is from 0 to 1"),
        (("--threshold", "Dress=0.1", "--set", "inference.score_threshold=0.3"), "below score_threshold"),
        (("--thresholds", "nowhere.json"), "no such file"),
        (("--thresholds", "broken.json"), "cannot be read"),
        (("--devices", "1000"), "this machine has"),
        (("--format", "xml"), "'xml'"),
    ],
)
def test_wrong_options_are_one_message_and_write_nothing(
    run: Path,
    words: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.json").write_text("{")
    assert clothseg(monkeypatch, "predict", run, VALIDATION[0], "--out", "out", *words) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_cutouts_and_pasting_use_the_thresholds(
    run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No detection has a score of 1; the test of predict shows that there are some without thresholds."""
    words = ("--score-threshold", 0, "--threshold", "Suit=1", "--threshold", "Dress=1")
    assert clothseg(monkeypatch, "cutout", run, VALIDATION[0], "--out", tmp_path / "cut", *words) == 0
    assert json.loads((tmp_path / "cut/cutouts.json").read_text())["cutouts"] == []
    replace = (
        "compose",
        VALIDATION[0],
        VALIDATION[1],
        "--replace",
        run,
        "--class",
        "Suit",
        "--out",
        tmp_path / "a.png",
    )
    assert clothseg(monkeypatch, *replace, *words) == 2
    assert "no Suit found above the score threshold" in capsys.readouterr().err
    assert not (tmp_path / "a.png").exists()


@pytest.mark.slow
@pytest.mark.parametrize("way", ["devices", "torchrun"])
def test_two_processes_write_the_bytes_of_one(run: Path, tmp_path: Path, way: str) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for path in VALIDATION[:5]:
        shutil.copy(path, photos)
    words = ["predict", str(run), str(photos), "--format", "coco", "--format", "csv", "--format", "pictures"]
    module = ["-m", "clothseg"]
    commands = {
        "one": [sys.executable, *module, *words],
        "devices": [sys.executable, *module, *words, "--devices", "2"],
        "torchrun": [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", *module, *words],
    }
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    for name in ("one", way):
        subprocess.run([*commands[name], "--out", str(tmp_path / name)], check=True, env=environment, timeout=300)
    one, two = ({p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in ("one", way))
    assert one == two
    assert len(one) == 8


def test_results_are_not_written_among_the_photos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The next prediction would read them as photos, and --overwrite would delete them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    for out in ("mine", "mine/found", "."):
        monkeypatch.setattr("sys.argv", ["clothseg", "predict", "run", "mine", "--out", out, "--overwrite"])
        with pytest.raises(SystemExit) as stopped:
            main()
        assert stopped.value.code == 2
        assert "--out is among the inputs (mine)" in capsys.readouterr().err


def test_photos_are_ranked_for_labelling_and_the_first_get_labels(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "found"
    words = ("predict", run, *VALIDATION[:4], "--out", out, "--rank-for-labelling")
    assert clothseg(monkeypatch, *words, "--labels", "coco") == 2
    assert "--label-first N" in capsys.readouterr().err
    assert clothseg(monkeypatch, "predict", run, VALIDATION[0], "--out", out, "--label-first", 1) == 2
    assert not out.exists()

    assert clothseg(monkeypatch, *words) == 0
    assert "4 photos ranked" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["ranking.csv"]
    ranking = [line.split(",")[1] for line in (out / "ranking.csv").read_text().splitlines()[1:]]
    assert sorted(ranking) == sorted(path.as_posix() for path in VALIDATION[:4])

    assert clothseg(monkeypatch, *words, "--label-first", 2, "--labels", "coco", "--overwrite", "--quiet") == 0
    labels = json.loads((out / "labels-coco.json").read_text())
    assert [image["file_name"] for image in labels["images"]] == [Path(name).name for name in ranking[:2]]
    for name in ranking[:2]:
        assert (out / "photos" / Path(name).name).read_bytes() == Path(name).read_bytes()
