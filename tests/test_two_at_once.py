"""Two commands that write to one folder at the same time: one is refused, and nothing is mixed or lost."""

import json
import sys
from pathlib import Path

import pytest
from bad_photos import photo
from fresh_process import FreshProcesses
from tiny_network import TINY_NETWORK

from clothseg.config import Config
from clothseg.errors import ClothsegError
from clothseg.files import atomic_folder
from clothseg.journal import folder_lock
from clothseg.models import MaskRCNN
from clothseg.runs import RunFolder

SETTINGS = [word for value in (*TINY_NETWORK, "train.epochs=2", "train.batch_size=2") for word in ("--set", value)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for name in ("images", "annotations"):
        (folder / name).mkdir()
    for split in ("train", "val"):
        images, rows = [], []
        for number in range(1, 7):
            name = photo(folder / "images" / f"{split}{number}.jpg", number, (48, 64)).name
            images.append({"id": number, "file_name": name, "width": 48, "height": 64})
            square = [5, 5, 35, 5, 35, 40, 5, 40]
            rows.append({"id": number, "image_id": number, "category_id": 1, "segmentation": [square]})
        tree = {"images": images, "annotations": rows, "categories": [{"id": 1, "name": "Suit"}]}
        (folder / "annotations" / f"{split}.json").write_text(json.dumps(tree))
    return folder


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a network that was not trained, and with perfect predictions."""
    folder = RunFolder(tmp_path_factory.mktemp("run"))
    config = Config.load("demo", TINY_NETWORK)
    MaskRCNN(config).build(["Suit"]).save(folder.weights)
    folder.config.write_text(config.to_yaml())
    folder.facts.write_text(json.dumps({"data": str(data), "classes": ["Suit"]}))
    return folder.path


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def words_for(command: str, data: Path, run: Path, out: Path) -> list[object]:
    sample = Path(sys.modules["clothseg"].__file__ or "").parent / "sample"
    return {
        "predict": ["predict", run, data / "images", "--out", out, "--score-threshold", 0, "--quiet"],
        "cutout": ["cutout", run, data / "images", "--out", out, "--score-threshold", 0, "--quiet"],
        "fit": ["fit", data, "--out", out, "--quiet", *SETTINGS],
        "build": ["dataset", "build", sample, "--classes", "Suit,Dress", "--out", out, "--quiet"],
    }[command]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["predict", "cutout", "fit", "build"])
def test_two_commands_at_once_give_one_result(
    command: str, data: Path, run: Path, tmp_path: Path, fresh_torch: FreshProcesses
) -> None:
    """One of them does the work as if it were alone; the other one says why it does not."""
    alone, both = tmp_path / "alone" / "out", tmp_path / "both" / "out"
    first = fresh_torch.run(words_for(command, data, run, alone))
    assert first.wait() == 0, first.stderr
    pair = [fresh_torch.start(words_for(command, data, run, both)) for _ in range(2)]
    codes = [process.wait() for process in pair]
    assert sorted(codes) == [0, 2], [process.stderr for process in pair]
    refusal = pair[codes.index(2)].stderr
    assert "another" in refusal or "exists already" in refusal
    assert len(refusal.strip().splitlines()) == 1
    assert files_of(both).keys() == files_of(alone).keys()


def test_a_folder_that_appears_in_the_meantime_is_not_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(ClothsegError, match="exists already"), atomic_folder(out) as one:
        (one / "a").write_text("late")
        with atomic_folder(out) as other:
            (other / "a").write_text("early")
    assert (out / "a").read_text() == "early"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_training_a_learning_curve_and_an_evaluation_are_refused_while_another_writes(
    data: Path, run: Path, tmp_path: Path, fresh_torch: FreshProcesses
) -> None:
    for out, words in (
        (tmp_path / "run", ["fit", data, "--out", tmp_path / "run", *SETTINGS]),
        (tmp_path / "curve", ["learning-curve", data, "--out", tmp_path / "curve", "--parts", "3,1", *SETTINGS]),
    ):
        with folder_lock(out):
            process = fresh_torch.run([*words, "--quiet", "--overwrite"])
        error = process.stderr
        assert (process.wait(), error.count("another command is writing to this folder")) == (2, 1), error
        assert not out.exists()
    before = files_of(run)
    with folder_lock(run, "evaluation"):
        process = fresh_torch.run(["evaluate", run, data, "--quiet"])
    error = process.stderr
    assert (process.wait(), error.count("another command is writing to this folder")) == (2, 1), error
    assert files_of(run) == before
