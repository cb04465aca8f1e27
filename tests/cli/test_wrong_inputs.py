"""Wrong paths, names and words: each message says what was looked for, and the nearest thing that exists."""

import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from bad_photos import photo

from clothseg import sample
from clothseg.cli.dataset.build import build
from clothseg.config import Config
from clothseg.models import MaskRCNN
from clothseg.runs import RunFolder

from .conftest import TINY, RunCommand


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos, a dataset, a run and foreign labels."""
    root = tmp_path_factory.mktemp("place")
    (root / "my-photos").mkdir()
    photo(root / "my-photos" / "a.jpg")
    build(sample.folder(), root / "data" / "demo", quiet=True, limit=2)
    settings = Config.load("demo", TINY)
    run = RunFolder(root / "runs" / "demo")
    MaskRCNN(settings).build(["Suit", "Dress", "Jeans"]).save(run.weights)
    run.config.write_text(settings.to_yaml())
    (root / "yolo" / "labels").mkdir(parents=True)
    (root / "yolo" / "labels" / "a.txt").write_text("0 0.1 0.1 0.9 0.1 0.9 0.9\n")
    (root / "empty").mkdir()
    return root


CASES: list[tuple[str, Sequence[str]]] = [
    ("fit my-photos --out x", ["a folder of photos without labels", "CVAT", "--labels coco"]),
    ("fit my-photos", ["a folder of photos without labels"]),
    ("fit data/dem", ["did you mean data/demo?"]),
    ("dataset build my-photos", ["a folder of photos without labels", "not a folder of Open Images files"]),
    ("evaluate runs/nope", ["runs/nope: no such weights file or run; runs/ has demo"]),
    ("evaluate my-photos", ["my-photos: a folder of photos without labels, not a run"]),
    ("evaluate runs/demo", ["no run names its dataset; name it after the run"]),
    ("evaluate garments", ["garments: only a run's folder says which dataset it is about"]),
    ("fit yolo --out x", ["labels in the form of YOLO", "clothseg dataset import yolo"]),
    ("fit data/dem --out x", ["did you mean data/demo?"]),
    ("fit data --out x", ["did you mean data/demo?"]),
    ("fit runs/demo --out x", ["a run, not a dataset"]),
    ("fit https://a.org/data.zip --out x", ["https://a.org/data.zip: a web address", "download it first"]),
    ("fit empty --out x", ["an empty folder, not a dataset"]),
    ("fit data/demo --out x --set epochs=3", ["epochs: unknown key; did you mean train.epochs?"]),
    ("fit data/demo --out x --set lr=3", ["did you mean train.learning_rate?"]),
    ("fit data/demo --out x --set train.epoch=3", ["did you mean train.epochs?"]),
    ("fit data/demo --out x --set network.rpm.positive_fraction=1", ["did you mean network.rpn?"]),
    ("fit data/demo --out x --config smal", ["did you mean small?"]),
    ("fit data/demo --out x --weights cocco", ["did you mean coco"]),
    ("fit data/demo --out x --weights runs/dem", ["did you mean runs/demo?"]),
    ("fit data/demo --out runs/dem --resume", ["no run to continue", "did you mean runs/demo?"]),
    ("fit data/demo --out x --epochs 3", ["there is no option --epochs; it is --set train.epochs=N"]),
    ("fit data/demo -o x", ["it is --out"]),
    ("train data/demo --out x", ["it is `clothseg fit`"]),
    ("check data/demo", ["it is `clothseg dataset check`"]),
    ("evalute runs/demo data/demo", ["Did you mean 'evaluate'?"]),
    ("dataset build my-photos --out x", ["a folder of photos without labels", "not a folder of Open Images files"]),
    ("dataset build data/demo --out x", ["a COCO dataset", "needs no build"]),
    ("dataset build sampl --out x", ["no such file or folder"]),
    ("dataset stats data/demo", ["not a folder of Open Images files"]),
    ("dataset classes runs/demo", ["a run, not a folder of Open Images files"]),
    ("dataset check my-photos", ["a folder of photos without labels"]),
    ("dataset show yolo --out x", ["clothseg dataset import yolo"]),
    ("dataset show data/demo --out x --split vall", ["no split 'vall' (did you mean val?)"]),
    ("dataset show data/demo --out x --annotations data/demo/annotations/vall.json", ["did you mean"]),
    ("dataset show data/demo --out x --classes dres", ["did you mean Dress?"]),
    ("predict garmets photo.jpg --out x", ["garmets: no such weights file or run; did you mean garments?"]),
    ("serve Garment", ["Garment: no such weights file or run; did you mean garments?"]),
    ("evaluate runs/nope data/demo", ["runs/nope: no such weights file or run; runs/ has demo"]),
    ("evaluate runs/demo data/dmo", ["did you mean data/demo?"]),
    ("evaluate runs/demo my-photos", ["a folder of photos without labels"]),
    ("evaluate my-photos data/demo", ["not a run", "the run comes first"]),
    ("figures runs/x --out f", ["runs/x: no such file or folder; expected an evaluated run", "runs/ has demo"]),
    ("figures runs/demo --out f", ["clothseg evaluate runs/demo DATA"]),
    ("compare runs/demo runs/nope --data data/demo", ["clothseg evaluate runs/demo"]),
    ("compare runs/nope runs/demo --data data/demo", ["runs/nope: no such run or results file; runs/ has demo"]),
    ("curves runs/dem", ["expected the folder of a run; did you mean runs/demo?"]),
    ("predict runs/dem my-photos --out f", ["did you mean runs/demo?"]),
    ("predict my-photos runs/demo --out f", ["the run comes first"]),
    ("predict runs/demo my-photo --out f", ["did you mean my-photos?"]),
    ("predict runs/demo my-photos/b.jpg --out f", ["did you mean my-photos/a.jpg?"]),
    (
        "predict runs/demo https://a.org/b.jpg --out f",
        ["https://a.org/b.jpg: a web address; add --format parquet (or jsonl)", "or download the photos first"],
    ),
    ("predict runs/demo my-photos --out f --conf 0.5", ["it is --score-threshold"]),
    ("predict runs/demo my-photos --out f --formt csv", ["--format"]),
    ("predict runs/demo my-photos --out f --format cvs", ["csv"]),
    ("predict runs/demo my-photos --out f --threshold Dres=1", ["did you mean Dress?"]),
    ("predict runs/demo my-photos --out f --thresholds runs/demo/metric.json", ["no such file"]),
    ("cutout runs/demo my-photos --out f --class Jean", ["did you mean Jeans?"]),
    ("compose a.png my-photos/a.jpg --out c.png", ["a.png: no such photo"]),
    ("weights inspect runs/dem", ["did you mean runs/demo?"]),
    ("weights download coco-detectron2-r10", ["did you mean coco-detectron2-r101"]),
    ("config show dem", ["did you mean demo?"]),
]


@pytest.mark.parametrize(("line", "words"), CASES, ids=[line for line, _ in CASES])
def test_the_message_names_the_nearest_thing(
    line: str,
    words: Sequence[str],
    place: Path,
    run_command: RunCommand,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setenv("COLUMNS", "250")
    before = sorted(place.rglob("*"))
    assert run_command(*line.split()) == 2
    shown = capsys.readouterr().err
    assert [word for word in words if word not in shown] == [], shown
    assert "Traceback" not in shown
    assert sorted(place.rglob("*")) == before


def test_a_coco_file_can_be_evaluated_on(place: Path, run_command: RunCommand, tmp_path: Path) -> None:
    """The photos lie in `images/` beside the folder of the file, or beside the file."""
    run, data = tmp_path / "run", place / "data" / "demo"
    shutil.copytree(place / "runs" / "demo", run)
    assert run_command("evaluate", run, data, "--quiet") == 0
    metrics = (run / "metrics.json").read_text()
    flat = tmp_path / "flat"
    shutil.copytree(data / "images", flat)
    shutil.copy(data / "annotations" / "val.json", flat / "mine.json")
    for file in (data / "annotations" / "val.json", flat / "mine.json"):
        (run / "metrics.json").unlink()
        assert run_command("evaluate", run, file, "--quiet") == 0
        assert (run / "metrics.json").read_text() == metrics
        assert "data:image/webp" in (run / "report.html").read_text()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("fit", "labels.zip", "--out", "o"), "an archive, not a dataset; unpack it first"),
        (("evaluate", "labels.zip", "labels.zip"), "an archive, not a dataset; unpack it first"),
        (("learning-curve", "labels.zip", "--out", "o"), "an archive, not a dataset; unpack it first"),
        (("dataset", "check", "labels.zip"), "an archive, not a dataset; unpack it first"),
        (("dataset", "show", "labels.zip", "--out", "o"), "an archive, not a dataset; unpack it first"),
        (
            ("dataset", "export", "labels.zip", "--format", "yolo", "--out", "o"),
            "an archive, not a dataset; unpack it first",
        ),
        (("dataset", "import", "labels.zip", "--out", "o"), "unpack it and give the folder"),
        (("dataset", "build", "labels.zip", "--out", "o"), "an archive, not a folder of Open Images files; unpack it"),
        (("dataset", "stats", "labels.zip"), "an archive, not a folder of Open Images files; unpack it first"),
        (("compose", "labels.zip", "labels.zip", "--out", "o.png"), "an archive, not a photo; unpack it first"),
        (("curves", "labels.zip", "--out", "o.png"), "an archive, not the folder of a run; unpack it first"),
        (("figures", "labels.zip", "--out", "o"), "an archive, not an evaluated run; unpack it first"),
        (("export", "labels.zip", "--out", "o.onnx"), "an archive, not a run or a weights file; unpack it first"),
        (("weights", "inspect", "labels.zip"), "an archive, not a run or a weights file; unpack it first"),
    ],
)
def test_a_zip_is_to_be_unpacked(
    words: tuple[str, ...],
    reason: str,
    tmp_path: Path,
    run_command: RunCommand,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("labels.zip", "w") as archive:
        archive.writestr("annotations/instances_default.json", "{}")
    assert run_command(*words) == 2
    error = capsys.readouterr().err
    assert f"labels.zip: {reason}" in error or f"labels.zip: a zip file; {reason}" in error
    assert [path.name for path in tmp_path.iterdir()] == ["labels.zip"]
