"""The folder of a run: what is deleted with it, and its facts."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from clothseg.errors import RunError
from clothseg.runs import RunFolder, refuse_data_set


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run with files, and a file of the user."""
    run = RunFolder(tmp_path / "run")
    for path in (run.last, run.events / "events.1", run.config, run.history, run.facts):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("old")
    (run.path / "mine.txt").write_text("mine")
    return run


def files(run: RunFolder) -> dict[str, str]:
    return {path.relative_to(run.path).as_posix(): path.read_text() for path in run.path.rglob("*") if path.is_file()}


def test_only_the_files_of_the_run_are_deleted(run: RunFolder) -> None:
    run.clear()
    assert [path.name for path in run.path.iterdir()] == ["mine.txt"]
    run.clear()
    RunFolder(run.path / "missing").clear()


@pytest.mark.parametrize("call", [1, 3])
def test_all_files_stay_if_one_is_open_elsewhere(run: RunFolder, call: int, monkeypatch: pytest.MonkeyPatch) -> None:
    before = files(run)
    replace: Callable[[Path, Path], Path] = Path.replace
    counter = itertools.count(1)

    def replacement(source: Path, target: Path) -> Path:
        if next(counter) == call:
            raise PermissionError(13, "The process cannot access the file")
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", replacement)
    with pytest.raises(RunError, match="close the programs"):
        run.clear()
    assert files(run) == before
    assert not [path for path in run.path.iterdir() if path.name.startswith(".")]


def test_facts_are_merged(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert run.read_facts() == {}
    run.add_facts({"device": "cpu", "timings": {"fit": 1.5}})
    run.add_facts({"device": "cuda", "timings": {"evaluate": 2.0}})
    assert run.read_facts() == {"device": "cuda", "timings": {"fit": 1.5, "evaluate": 2.0}}
    for content in ("[]", "{"):
        run.facts.write_text(content)
        with pytest.raises(RunError, match=r"run\.json.*delete the file"):
            run.read_facts()


def test_a_data_set_is_no_place_for_a_run(tmp_path: Path) -> None:
    refuse_data_set(RunFolder(tmp_path))
    (tmp_path / "annotations").mkdir()
    with pytest.raises(RunError, match="dataset"):
        refuse_data_set(RunFolder(tmp_path))
