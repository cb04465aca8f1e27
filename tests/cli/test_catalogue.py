"""`predict` and `cutout` in shards, and `merge`: the same results as without shards, and options that do not fit."""

import json
from pathlib import Path

import polars
import pytest
from PIL import Image

from clothseg import sample
from clothseg.config import Config
from clothseg.models import MaskRCNN
from clothseg.runs import RunFolder

from .conftest import TINY, RunCommand

PHOTOS = sorted((sample.folder() / "validation").glob("*.jpg"))[:3]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose network is not trained; it finds two instances on every photo."""
    folder = RunFolder(tmp_path_factory.mktemp("run"))
    settings = Config.load("demo", [*TINY, "backbone.name=resnet18", "network.fpn.levels=[3,4,5]"])
    MaskRCNN(settings).build(["Suit", "Dress"]).save(folder.weights)
    return folder.path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three photos of the sample, made small, and between them a file that is none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, path in enumerate(PHOTOS):
        with Image.open(path) as photo:
            photo.resize((100 + number, 150)).save(folder / f"{number}.png")
    (folder / "1b.jpg").write_bytes(b"no photo")
    return folder


def files_in(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_merged_shards_are_what_predict_writes_without_them(
    run: Path, photos: Path, tmp_path: Path, run_command: RunCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("predict", run, photos, "--device", "cpu")
    assert run_command(*words, "--format", "coco", "--out", tmp_path / "plain") == 1
    shards = ("--shard-size", 2)
    assert run_command(*words, "--format", "parquet", *shards, "--shard", "1/2", "--out", tmp_path / "a") == 0
    assert run_command(*words, "--format", "parquet", *shards, "--shard", "2/2", "--out", tmp_path / "b") == 1
    said = capsys.readouterr().err
    assert "4 detections on 2 photos in 1 shard" in said
    assert f"not read: 1 photo; {tmp_path}/b/errors has the reason for each" in said.replace("\n", "")
    assert run_command("merge", tmp_path / "a", tmp_path / "b", "--format", "coco", "--out", tmp_path / "m") == 0
    assert "2 shards with 4 photos, 1 of which could not be read, and 6 rows" in capsys.readouterr().err
    assert (tmp_path / "m/predictions.json").read_bytes() == (tmp_path / "plain/predictions.json").read_bytes()
    merged, plain = (json.loads((tmp_path / name / "images.json").read_text()) for name in ("m", "plain"))
    assert merged == plain
    assert json.loads((tmp_path / "m/errors.jsonl").read_text())["photo"] == f"{photos}/1b.jpg"
    assert run_command("merge", tmp_path / "a", "--out", tmp_path / "n") == 2
    assert "missing" in capsys.readouterr().err


def test_cut_outs_in_shards_are_those_without(run: Path, photos: Path, tmp_path: Path, run_command: RunCommand) -> None:
    words = ("cutout", run, photos, "--score-threshold", 0, "--device", "cpu", "--class", "dress")
    assert run_command(*words, "--out", tmp_path / "plain") == 1
    assert run_command(*words, "--format", "jsonl", "--shard-size", 3, "--out", tmp_path / "shards") == 1
    plain = json.loads((tmp_path / "plain/cutouts.json").read_text())["cutouts"]
    lines = [json.loads(line) for path in sorted((tmp_path / "shards/garments").iterdir()) for line in path.open()]
    assert len(plain) == len(lines) > 0
    for one, row in zip(plain, lines, strict=True):
        assert (tmp_path / "shards" / row["file"]).read_bytes() == (tmp_path / "plain" / one["file_name"]).read_bytes()
        assert [row[side] for side in ("x", "y", "width", "height")] == one["box"]
        assert (row["photo"], row["class"], round(row["score"], 4)) == (one["photo"], one["class"], one["score"])
    before = files_in(tmp_path / "shards")
    (tmp_path / "shards/shards/shard-000001.json").unlink()  # as a kill leaves it
    (tmp_path / "shards/garments/shard-000001.jsonl").unlink()
    next((tmp_path / "shards/cutouts/shard-000001").iterdir()).write_bytes(b"half")
    assert run_command(*words, "--format", "jsonl", "--shard-size", 3, "--out", tmp_path / "shards") == 1
    assert files_in(tmp_path / "shards") == before
    assert run_command("merge", tmp_path / "shards", "--out", tmp_path / "merged") == 0
    table = polars.read_parquet(tmp_path / "merged/garments.parquet")
    assert all(Path(name).is_file() for name in table["file"])
    assert run_command("merge", tmp_path / "shards", "--format", "coco", "--out", tmp_path / "coco") == 2


def test_the_first_reasons_are_shown_and_a_job_without_shards_says_so(
    run: Path, photos: Path, tmp_path: Path, run_command: RunCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "0b.jpg").touch()
    names = [*sorted(map(str, photos.iterdir())), *(f"{photos}/missing-{number}.jpg" for number in range(5))]
    (tmp_path / "list.txt").write_text("\n".join(names))
    words = ("predict", run, tmp_path / "list.txt", "--device", "cpu", "--shard-size", 5, "--out", tmp_path / "out")
    for form in ("parquet", "jsonl"):
        out = tmp_path / form
        assert run_command(*words, "--format", form, "--out", out) == 1
        lines = capsys.readouterr().err.splitlines()
        assert [line.split(":")[0] for line in lines[1:]] == ["not read", "  photo 2", "  photo 4", "  photo 6"]
        assert lines[1] == f"not read: 7 photos; {out}/errors has the reason for each, such as"
        assert lines[2] == f"  photo 2: {photos}/0b.jpg: the file is empty (0 bytes); fetch or copy it again"
        assert lines[3] == f"  photo 4: {photos}/1b.jpg: not a picture in a known format"
    jobs = (*words, "--format", "parquet", "--out", tmp_path / "jobs")
    assert run_command(*jobs, "--shard", "2/2") == 2, "all photos of this job failed"
    assert "  photo 6: " in capsys.readouterr().err
    assert run_command(*jobs, "--shard", "1/2") == 1
    assert "  photo 2: " in capsys.readouterr().err, "of this job"
    assert run_command(*jobs, "--shard", "3/4", "--out", tmp_path / "none") == 0
    assert "nothing to do: the photos make 2 shards, none of which is for job 3/4" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
    assert run_command(*jobs, "--shard", "1/2") == 1
    assert "complete before: 1 of 1 shard" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["predict", "cutout"])
def test_a_catalogue_whose_photos_all_fail_ends_as_without_shards(
    command: str, run: Path, photos: Path, tmp_path: Path, run_command: RunCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    """With exit code 2; the tables of errors, which other jobs need for a merge, are written."""
    names = [photos / "1b.jpg", photos / "2b.jpg"]
    names[1].touch()
    words = (command, run, "--device", "cpu")
    assert run_command(*words, *names, "--out", tmp_path / "plain") == 2
    table = ("--format", "jsonl", "--shard-size", 1, "--out", tmp_path / "shards")
    for again in (False, True):
        assert run_command(*words, *names, *table) == 2, again
    assert len(list((tmp_path / "shards/errors").iterdir())) == 2
    assert run_command(*words, names[0], photos / "0.png", *table, "--overwrite") == 1
    assert "not read: 1 photo" in capsys.readouterr().err


def test_merge_has_a_place_without_out(
    run: Path, photos: Path, tmp_path: Path, run_command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_command("predict", run, photos, "--device", "cpu", "--format", "parquet")
    assert run_command("merge", "found") == 0
    assert sorted(path.name for path in Path("merged").iterdir()) == [
        "detections.parquet",
        "errors.parquet",
        "photos.parquet",
    ]
    before = files_in(tmp_path)
    assert run_command("merge", "found") == 2
    assert files_in(tmp_path) == before


@pytest.mark.slow
def test_an_exported_network_does_a_catalogue(run: Path, photos: Path, tmp_path: Path, run_command: RunCommand) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    assert run_command("export", run, "--out", tmp_path / "model.onnx") == 0
    words = ("predict", tmp_path / "model.onnx", photos)
    assert run_command(*words, "--format", "coco", "--out", tmp_path / "plain") == 1
    assert run_command(*words, "--format", "parquet", "--devices", 2, "--shard-size", 2, "--out", tmp_path / "s") == 1
    assert run_command("merge", tmp_path / "s", "--format", "coco", "--out", tmp_path / "m") == 0
    assert (tmp_path / "m/predictions.json").read_bytes() == (tmp_path / "plain/predictions.json").read_bytes()


REFUSED = {
    "shard without a table": (("PHOTOS", "--shard", "1/2"), "--shard: only for catalogues; add --format parquet"),
    "several options": (("PHOTOS", "--shard-size", 2, "--engine", "ray"), "--shard-size, --engine ray: only for"),
    "list": (("list.csv",), "list.csv: a list of photos; add --format parquet"),
    "results where a list is": (("PHOTOS", "--out", "list.csv"), "list.csv exists already"),
    "address": (("s3://shop/photos/",), "s3://shop/photos/: a web address; add --format parquet"),
    "address of the results": (("PHOTOS", "--out", "s3://shop/out"), "s3://shop/out: a web address"),
    "two formats": (("PHOTOS", "--format", "parquet", "--format", "coco"), "--format parquet cannot be combined"),
    "labels": (("PHOTOS", "--format", "parquet", "--labels", "coco"), "--labels: not for catalogues"),
    "job": (("PHOTOS", "--format", "parquet", "--shard", "2"), "write it as JOB/JOBS, counted from 1, such as 3/40"),
    "no such job": (("PHOTOS", "--format", "parquet", "--shard", "3/2"), "of 2 jobs the first is 1/2 and the last 2/2"),
    "job 0": (("PHOTOS", "--format", "parquet", "--shard", "0/2"), "of 2 jobs the first is 1/2 and the last 2/2"),
    "no jobs": (("PHOTOS", "--format", "parquet", "--shard", "0/0"), "write it as JOB/JOBS"),
    "column": (("list.csv", "--format", "parquet", "--photo-column", "url"), "no column 'url'; it has photo"),
    "nothing": (("nowhere", "--format", "parquet"), "nowhere: no such photo, folder or list"),
    "address of Ray": (("PHOTOS", "--format", "parquet", "--ray-address", "auto"), "only with --engine ray"),
    "class": (("PHOTOS", "--format", "parquet", "--threshold", "Dres=1"), "did you mean Dress?"),
    "inside": (("PHOTOS", "--format", "parquet", "--out", "photos/out"), "--out is among the inputs"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    case: str,
    run: Path,
    photos: Path,
    tmp_path: Path,
    run_command: RunCommand,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.csv").write_text("photo\nphotos/0.png\n")
    words, message = REFUSED[case]
    before = files_in(tmp_path)
    assert run_command("predict", run, *(photos if word == "PHOTOS" else word for word in words)) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert files_in(tmp_path) == before
